"""A recognizer of actions: a convolutional backbone, graph modules in it, and a linear layer for each head.

Its tensors have three prefixes: `backbone.`, in the names of torchvision where it is a ResNet over frames; `graphs.`
with the place of each module; and `heads.` with the name of each head.

Shapes: B clips, T frames, T' time steps of the last maps, C colours, D channels of the last maps, H height, W width, N
nodes, K classes.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.config import ConvolutionalSettings
from pipeline.errors import PipelineError
from pipeline.models.clip_random import drop
from pipeline.recognition.attention_watch import watching_attention
from pipeline.recognition.backbones.choice import Backbone, build_backbone, colours_of, pixels_of
from pipeline.recognition.backbones.places import FINAL, Maps, Recorder, in_clips
from pipeline.recognition.dyreg import DyReg
from pipeline.recognition.pixels import Pixels
from pipeline.recognition.placement import Graph, build_graphs
from pipeline.recognition.region_proposals import Regions
from pipeline.recognition.rstg import Rstg

HEAD_DEVIATION = 0.001  # TSM's, of the weights of a head at the beginning


class Recognizer(nn.Module):
    """A backbone, modules in it, and heads.

    Args:
        backbone: The network of maps.
        pixels: What pixels are normalised by.
        graphs: The modules, by their places.
        shapes: The shape of the maps of each place, for the frames that the recognizer is trained on.
        heads: Number of classes of each head.
        dropout: Share of the pooled features that each training step leaves out.
    """

    def __init__(
        self,
        backbone: Backbone,
        pixels: Pixels,
        graphs: Mapping[str, Graph],
        shapes: Mapping[str, tuple[int, ...]],
        heads: Mapping[str, int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pixels = pixels
        self.graphs = nn.ModuleDict({_as_name(place): graph for place, graph in graphs.items()})
        self.places = tuple(graphs)
        width = shapes[FINAL][2]
        self.window = shapes[FINAL][3:] if backbone.pools_windows else None
        self.dropout = dropout
        self.heads = nn.ModuleDict({name: _head(width, classes) for name, classes in heads.items()})

    def forward(self, x: Tensor, boxes: Tensor | None = None, seeds: Tensor | None = None) -> dict[str, Tensor]:
        """Give the logits of each head, `[B, K]`, averaged over time.

        Args:
            x: Pixels of 0 to 255 of any type, `[B, T, C, H, W]`, of any number of frames and any size.
            boxes: Boxes of the objects, for modules of `regions: boxes` alone: shares of the frame (left, top, right,
                bottom), `[B, T, N, 4]`.
            seeds: A number of each clip `[B]`, from which dropout is drawn in training; without them nothing is
                dropped.
        """
        return self._logits(self.features(x, boxes), seeds)

    def features(self, x: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Give what the heads see before it is averaged over time, `[B, T', D]`.

        Args:
            x: Pixels of 0 to 255, `[B, T, C, H, W]`.
            boxes: See `forward`.
        """
        return self._features(x, {place: partial(self._through, place, boxes=boxes) for place in self.places})

    def maps(self, x: Tensor) -> Tensor:
        """Give the backbone's last maps, `[B, T', D, H', W']`, with all modules but one at `final`, which may pool.

        Args:
            x: Pixels of 0 to 255, `[B, T, C, H, W]`.
        """
        used = {place: partial(self._through, place) for place in self.places if place != FINAL}
        found: Tensor = self.backbone(self.pixels(x), used)
        return found

    def with_regions(self, x: Tensor, seeds: Tensor | None = None) -> tuple[dict[str, Tensor], dict[str, Regions]]:
        """Give what `forward` gives, and the regions of each DyReg module that it was computed with.

        Args:
            x: Pixels of 0 to 255, `[B, T, C, H, W]`.
            seeds: See `forward`.
        """
        seen: dict[str, Regions] = {}

        def keeping(place: str, maps: Tensor) -> Tensor:
            graph = self.graph(place)
            if not isinstance(graph, DyReg):
                return self._through(place, maps)
            maps, seen[place] = graph.with_regions(maps)
            return maps

        features_BTD = self._features(x, {place: partial(keeping, place) for place in self.places})
        return self._logits(features_BTD, seeds), seen

    def regions(self, x: Tensor, boxes: Tensor | None = None) -> dict[str, tuple[Tensor, Tensor | None]]:
        """Give where each module looks, and whom its nodes listen to.

        Args:
            x: Pixels of 0 to 255, `[B, T, C, H, W]`.
            boxes: See `forward`.

        Returns:
            For each place: the regions as shares of the frame (left, top, right, bottom), `[B, T', N, 4]`, which may
            reach beyond it; and the weights of the last round's messages, receivers first, `[B, T', N, N]`, averaged
            over the heads of the attention, or None where the module has no messages.
        """
        seen: dict[str, tuple[Tensor, Tensor | None]] = {}

        def watching(place: str, maps: Tensor) -> Tensor:
            graph = self.graph(place)
            with watching_attention(graph.graph) as weights:
                result = self._through(place, maps, boxes)
            found = graph.boxes(maps, _of_steps(boxes, maps)) if isinstance(graph, DyReg) else graph.boxes(maps)
            seen[place] = (found, weights.last(maps.shape[:2]))
            return result

        self._features(x, {place: partial(watching, place) for place in self.places})
        return seen

    def graph(self, place: str) -> Graph:
        """The module at a place of `places`."""
        return self.graphs[_as_name(place)]  # type: ignore[return-value]

    def _through(self, place: str, maps: Tensor, boxes: Tensor | None = None) -> Tensor:
        graph = self.graph(place)
        if isinstance(graph, Rstg):
            return graph.frames(maps) if place == FINAL else graph(maps)
        result: Tensor = graph(maps, _of_steps(boxes, maps))
        return result

    def _logits(self, features_BTD: Tensor, seeds_B: Tensor | None) -> dict[str, Tensor]:
        if self.training and seeds_B is not None:
            features_BTD = drop(features_BTD, self.dropout, seeds_B)
        return {name: head(features_BTD).mean(1) for name, head in self.heads.items()}

    def _features(self, x: Tensor, used: Mapping[str, Maps]) -> Tensor:
        x_BTDHW: Tensor = self.backbone(self.pixels(x), used)
        if FINAL in used:
            x_BTDHW = used[FINAL](x_BTDHW)
        if x_BTDHW.ndim == 3:  # a module has pooled them
            return x_BTDHW
        if self.window is None:
            return x_BTDHW.mean((3, 4))
        # As the published networks do on larger frames: windows of the size of training, which are averaged.
        window = [min(size, own) for size, own in zip(self.window, x_BTDHW.shape[-2:], strict=True)]
        return in_clips(F.avg_pool2d(x_BTDHW.flatten(0, 1), window, 1).mean((2, 3)), x_BTDHW.shape[1])


def build_recognizer(settings: ConvolutionalSettings, heads: Mapping[str, int]) -> Recognizer:
    """Build a recognizer, its backbone drawn from the backbone's `seed`, its modules and heads from torch's generator.

    Args:
        settings: Of the recognizer. The maps' sizes are those of `augmentation.size` pixels and `frames.number` frames.
        heads: Number of classes of each head.

    Raises:
        PipelineError: if the backbone has no place that a module names, or no module can stand there.
    """
    shapes = map_shapes(settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.backbone.seed)
        backbone = build_backbone(settings.backbone)
    graphs = build_graphs(settings.modules, backbone.blocks, shapes)
    pixels = Pixels(pixels_of(settings.backbone), colours_of(settings.backbone))
    return Recognizer(backbone, pixels, graphs, shapes, heads, settings.dropout)


def map_shapes(settings: ConvolutionalSettings) -> dict[str, tuple[int, ...]]:
    """Find the shape of the maps at each place of a backbone, `(1, T, C, H, W)`, without computing them.

    Raises:
        PipelineError: if the frames are too small, or too few, for the backbone.
    """
    size, number = settings.augmentation.size, settings.frames.number
    recorder = Recorder()
    with torch.device("meta"), torch.no_grad():
        frames = torch.empty(1, number, colours_of(settings.backbone), size, size)
        try:
            maps = build_backbone(settings.backbone).eval()(frames, recorder)
        except (RuntimeError, ValueError) as error:
            raise PipelineError(
                f"augmentation: size: {number} frames of {size} pixels are too small for the backbone "
                f"{settings.backbone.kind} ({str(error).splitlines()[0]})"
            ) from error
    return {**recorder.shapes, FINAL: tuple(maps.shape)}


def _of_steps(boxes: Tensor | None, maps: Tensor) -> Tensor | None:
    """Boxes of the frames that the time steps of some maps begin with, where these have fewer."""
    steps = maps.shape[1]
    return None if boxes is None else boxes[:, :: boxes.shape[1] // steps][:, :steps]


def _head(width: int, classes: int) -> nn.Linear:
    """A linear layer as TSM begins with."""
    head = nn.Linear(width, classes)
    nn.init.normal_(head.weight, 0.0, HEAD_DEVIATION)
    nn.init.zeros_(head.bias)
    return head


def _as_name(place: str) -> str:
    """The name of a module in the state dict, which has no dots and blanks."""
    return place.replace(".", "_").replace(" ", "_")
