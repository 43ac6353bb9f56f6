"""A recognizer of actions by CAST, which stages use as they use one with a convolutional backbone.

Shapes: B clips, T frames, C colours, H height, W width, L tokens of a frame, N tokens of a clip, D width of the
experts, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from torch import Tensor, nn

from pipeline.artifact import file_digest
from pipeline.config import CastSettings
from pipeline.errors import PipelineError
from pipeline.recognition.cast_body import CastBody, Tokens
from pipeline.recognition.cast_part import CastPart
from pipeline.recognition.cast_plan import CastOptions
from pipeline.recognition.pixels import Pixels
from pipeline.recognition.towers.spatial_weights import read_spatial
from pipeline.recognition.towers.temporal_weights import read_temporal

COLOURS = 3
PIXELS = "imagenet"  # of both experts: CLIP's own mean and deviation are not used
Front = tuple[Tensor | None, Tensor | None]


@dataclass(frozen=True)
class Experts:
    """Both experts of their files, over which any number of recognizers may be built.

    Attributes:
        body: The frozen towers.
        norm: Weights and biases of CLIP's last norm, which a recognizer's last spatial norm begins with.
        paths: The file of each expert, by the name of its setting.
        digests: SHA-256 of these files.
        origin: Where their weights come from, in words.
    """

    body: CastBody
    norm: Mapping[str, Tensor]
    paths: Mapping[str, Path]
    digests: Mapping[str, str]
    origin: str


class CastRecognizer(nn.Module):
    """A frozen body and the part of CAST that is trained over it.

    Args:
        body: The experts, which other recognizers may have, too.
        part: What is trained; nothing else belongs into a file.
    """

    def __init__(self, body: CastBody, part: CastPart) -> None:
        super().__init__()
        self.pixels = Pixels(PIXELS, COLOURS)
        self.body = body
        self.part = part

    @property
    def learned(self) -> CastPart:
        """The part that is trained."""
        return self.part

    @property
    def heads(self) -> nn.ModuleDict:
        """The layers that give the logits."""
        return self.part.heads

    def forward(self, x: Tensor, seeds: Tensor | None = None) -> dict[str, Tensor]:
        """Give the logits of each head, `[B, K]`.

        Args:
            x: Pixels of 0 to 255 of any type, RGB, `[B, T, C, H, W]`, of the experts' frames and sizes.
            seeds: A number of each clip `[B]`, from which drop path is drawn in training; without them nothing is
                dropped.
        """
        return self.from_front(self.front(x), seeds)

    def features(self, x: Tensor) -> Tensor:
        """Give what the heads see, as one step in time: `[B, 1, D]`, or `[B, 1, 2 D]`; see `CastPart.fused`."""
        tokens = self._tokens(self.front(x), None)
        return self.part.fused(self.part.vectors(self.body, tokens))[:, None]

    def with_features(self, x: Tensor, seeds: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """Give what `forward` gives, and what the heads saw for it, `[B, D]` or `[B, 2 D]`.

        Args:
            x: Pixels, as of `forward`.
            seeds: See `forward`.
        """
        return self.from_front_with_features(self.front(x), seeds)

    def from_front_with_features(self, front: Front, seeds: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """Give what `with_features` gives, from what `front` gives; see both."""
        vectors = self.part.vectors(self.body, self._tokens(front, seeds))
        return self.part.logits(vectors), self.part.fused(vectors)

    def vectors(self, x: Tensor) -> Front:
        """Give the normed vectors of the spatial and the temporal stream, `[B, D]`; None for one that nothing needs."""
        found = self.part.vectors(self.body, self._tokens(self.front(x), None))
        return found.get("spatial"), found.get("temporal")

    def maps(self, x: Tensor) -> Front:
        """Give the last tokens of the spatial and of the temporal stream on their grid, `[B, steps, rows, columns, D]`.

        The class tokens are left out. None stands for a stream that nothing needs.
        """
        steps, (rows, columns) = self.body.steps, self.body.grid
        tokens = self._tokens(self.front(x), None)
        spatial, temporal = tokens.get("spatial"), tokens.get("temporal")
        return (
            None if spatial is None else spatial[:, 1:].reshape(-1, steps, rows, columns, self.body.width),
            None if temporal is None else temporal.reshape(-1, steps, rows, columns, self.body.width),
        )

    def front(self, x: Tensor) -> Front:
        """Give the tokens before `first_block`, which no training changes.

        Args:
            x: Pixels, as of `forward`.

        Returns:
            Spatial ones `[B, steps, L, D]` and temporal ones `[B, N, D]`; None for a stream that nothing needs.
        """
        tokens = self.part.front(self.body, self.pixels(x).transpose(1, 2))
        spatial = tokens.get("spatial")
        by_clip = None if spatial is None else spatial.reshape(-1, self.body.steps, *spatial.shape[1:])
        return by_clip, tokens.get("temporal")

    def from_front(self, front: Front, seeds: Tensor | None = None) -> dict[str, Tensor]:
        """Give the logits of each head, `[B, K]`, from what `front` gives.

        Args:
            front: Tokens of some clips.
            seeds: See `forward`.
        """
        return self.part.logits(self.part.vectors(self.body, self._tokens(front, seeds)))

    def _tokens(self, front: Front, seeds: Tensor | None) -> Tokens:
        spatial, temporal = front
        tokens: Tokens = {}
        if spatial is not None:
            tokens["spatial"] = spatial.flatten(0, 1)
        if temporal is not None:
            tokens["temporal"] = temporal
        return self.part.tokens(self.body, tokens, seeds)


def build_cast(settings: CastSettings, heads: Mapping[str, int], spatial: Path, temporal: Path) -> CastRecognizer:
    """Build a recognizer over the experts of two files; what is trained is drawn from torch's generator.

    Args:
        settings: Of the recognizer.
        heads: Number of classes of each head.
        spatial: File of the spatial expert, an encoder of kind clip4clip.
        temporal: File of the temporal expert, an encoder of kind videomae.

    Raises:
        PipelineError: if a file cannot be read, the experts are not alike, or the settings do not fit them.
    """
    return build_over(read_experts(spatial, temporal), settings, heads)


def build_over(experts: Experts, settings: CastSettings, heads: Mapping[str, int]) -> CastRecognizer:
    """Build a recognizer over experts that were read before, which it shares; see `build_cast`."""
    check_geometry(settings, experts.body)
    part = CastPart(experts.body, heads, options_of(settings))
    if "spatial" in part.norms:
        part.norms["spatial"].load_state_dict(experts.norm, strict=True)
    return CastRecognizer(experts.body, part)


def read_experts(spatial: Path, temporal: Path) -> Experts:
    """Read both experts.

    Raises:
        PipelineError: if a file cannot be read or is no such expert, or the two are not alike.
    """
    of_frames, of_clips = read_spatial(spatial), read_temporal(temporal)
    paths = {"spatial": spatial, "temporal": temporal}
    with safe_open(temporal, "pt") as file:
        origin = (file.metadata() or {}).get("origin", "unknown")
    return Experts(
        CastBody(of_frames.tower, of_clips),
        of_frames.norm,
        paths,
        {name: file_digest(path) for name, path in paths.items()},
        f"spatial expert {of_frames.origin}, temporal expert {origin}",
    )


def options_of(settings: CastSettings) -> CastOptions:
    """What settings say of the network itself."""
    return CastOptions(
        settings.adapters,
        settings.exchange,
        settings.windows.t2s,
        settings.windows.s2t,
        settings.positions,
        settings.ratio,
        settings.first_block,
        settings.fusion,
        settings.drop_path,
    )


def check_geometry(settings: CastSettings, body: CastBody) -> None:
    """Raise PipelineError if the frames of settings are not those that experts take."""
    temporal = body.temporal
    if settings.frames.number != temporal.frames:
        raise PipelineError(
            f"frames: number: {settings.frames.number}, but the temporal expert {settings.temporal} takes clips of "
            f"{temporal.frames} frames: write number: {temporal.frames}"
        )
    for key, size in (("augmentation: size", settings.augmentation.size), ("views: size", settings.views.size)):
        if size % temporal.patch_size:
            patch = temporal.patch_size
            raise PipelineError(f"{key}: {size} is no multiple of the {patch} pixels of the experts' patches")
        if size != temporal.image_size:
            raise PipelineError(f"{key}: {size}, but the experts take frames of {temporal.image_size} pixels")
