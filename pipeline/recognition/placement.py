"""Graph modules by their settings, at the places of a backbone that they name.

Shapes: B clips, T time steps, C channels, H height and W width of a map.
"""

from collections.abc import Mapping, Sequence

from pipeline.config import DyRegSettings, ModuleSettings, RstgSettings
from pipeline.errors import PipelineError
from pipeline.recognition.backbones.places import INSIDE, in_words, stage_alias
from pipeline.recognition.dyreg import DyReg
from pipeline.recognition.rstg import Rstg

Graph = Rstg | DyReg


def place_of(settings: ModuleSettings, blocks: Sequence[int], shapes: Mapping[str, object]) -> str:
    """Find the place that a module's settings name.

    Args:
        settings: Of the module: `at` is `layer3.4`, `res4` (RSTG's name for after the last block but one), or `final`;
            `inside` puts it after the second convolution of the block, before its norm, and not after the block.
        blocks: Number of blocks of each stage of the backbone; none if it has no stages.
        shapes: What belongs to each place that the backbone has.

    Raises:
        PipelineError: if the backbone has no such place; the message lists those it has.
    """
    place = stage_alias(settings.at, list(blocks))
    if place not in shapes:
        stages = [f"res{number + 2}" for number in range(len(blocks))]
        known = ", ".join([in_words(shapes), *stages])
        raise PipelineError(
            f"modules: at: {settings.at} of {settings.kind}: this backbone has no such place; it has {known}"
        )
    if settings.inside and place + INSIDE not in shapes:
        raise PipelineError(f"modules: at: {settings.at} of {settings.kind} is no block: write inside: false")
    return place + INSIDE if settings.inside else place


def build_graph(settings: ModuleSettings, shape: Sequence[int]) -> Graph:
    """Build a module for maps of a shape, `(B, T, C, H, W)`, with weights drawn anew.

    Raises:
        PipelineError: if the maps have one place, or the module cannot be laid out over them.
    """
    channels, height, width = shape[2:]
    if height * width == 1:
        raise PipelineError(
            "the map there is a single place, in which there are no regions: place the module elsewhere"
        )
    if isinstance(settings, RstgSettings):
        return _rstg(settings, channels, height, width)
    return _dyreg(settings, channels, height, width)


def build_graphs(
    modules: Sequence[ModuleSettings], blocks: Sequence[int], shapes: Mapping[str, Sequence[int]]
) -> dict[str, Graph]:
    """Build all modules of a recognizer.

    Args:
        modules: Their settings.
        blocks: Number of blocks of each stage of the backbone.
        shapes: The shape of the maps of each of its places.

    Returns:
        The modules by their places.

    Raises:
        PipelineError: if there is no such place, or two modules are at one.
    """
    made: dict[str, Graph] = {}
    for settings in modules:
        place = place_of(settings, blocks, shapes)
        if place in made:
            raise PipelineError(f"modules: two of them are at {place}: a place has one")
        try:
            made[place] = build_graph(settings, shapes[place])
        except PipelineError as error:
            raise PipelineError(f"modules: at: {settings.at} of {settings.kind}: {error}") from error
    return made


def _rstg(settings: RstgSettings, channels: int, height: int, width: int) -> Rstg:
    return Rstg(
        channels,
        height,
        width,
        settings.node_dim,
        settings.rounds,
        settings.attention,
        settings.heads,
        settings.layer_norm,
        settings.batch_norm,
        settings.scalewise,
        settings.positions,
        settings.residual,
        settings.stages,
    )


def _dyreg(settings: DyRegSettings, channels: int, height: int, width: int) -> DyReg:
    return DyReg(
        channels,
        height,
        width,
        settings.node_dim,
        settings.offset_dim,
        settings.anchors,
        settings.generator,
        settings.rounds,
        settings.stages,
        settings.residual,
        settings.regions,
    )
