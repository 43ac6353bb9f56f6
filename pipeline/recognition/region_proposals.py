"""Where the regions of DyReg are: predicted from the video, or by one of the ways that its paper compares with.

Sources: Duta et al., 2021, section 3.1, and the workshop version of 2020 (arXiv 2009.08427v1), table 1.

Shapes: B clips, T time steps, N nodes, D channels, O width of a state, H height and W width of a map.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import PipelineError
from pipeline.recognition.norms import JointNorm
from pipeline.recognition.region_generators import BigGenerator, LiteGenerator
from pipeline.recognition.region_pool import tent_kernels
from pipeline.recognition.space_time_graph import Recurrence

GRID = 3  # nodes along a side, whose number also sets the size of a region
NUM_NODES = GRID * GRID
NORM_EPS = 1e-5
EDGE = 1e-7  # how far an anchor stays from the border, so that its inverse tanh is finite
SMALLEST = 1.0  # half of the least region: the kernel is then bilinear interpolation
TENT = math.sqrt(6.0)  # half a tent, in its standard deviations

Anchors = Literal["centre", "grid"]
RegionKind = Literal["dynamic", "fixed", "static", "semantic", "position", "boxes"]


class Regions(NamedTuple):
    """Regions of each frame.

    Attributes:
        centre: Their centres (y, x) in places of the map, `[B, T, N, 2]`.
        half: Half their heights and widths, in places, `[B, T, N, 2]`.
        kernels: What each gathers of the map, `[B, T, N, H, W]`; each sums to 1.
    """

    centre: Tensor
    half: Tensor
    kernels: Tensor


class PredictedRegions(nn.Module):
    """Regions that a generator and a recurrence along time move and scale.

    Args:
        channels: D.
        height: H in training.
        width: W in training.
        state_dim: O.
        anchors: Where regions begin.
        generator: `big`, or `lite`.
        scales: Whether heights and widths are predicted, too; otherwise they stay as they begin (`position`).
    """

    anchor: Tensor

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        state_dim: int,
        anchors: Anchors,
        generator: Literal["big", "lite"],
        scales: bool,
    ) -> None:
        super().__init__()
        self.size, self.scales = (height, width), scales
        made = BigGenerator if generator == "big" else LiteGenerator
        self.generator = made(channels, height, width, NUM_NODES, state_dim)
        self.offset_before = JointNorm(state_dim, 2, NORM_EPS)
        self.offset_time = Recurrence(nn.GRU(state_dim, state_dim))
        self.offset_after = JointNorm(state_dim, 2, NORM_EPS)
        # Height and width of the region, then its shift down and to the right.
        self.offset = nn.Linear(state_dim, 4 if scales else 2)
        self.offset_scale = nn.Parameter(torch.zeros(4 if scales else 2))
        self.register_buffer("anchor", anchor_points(anchors), persistent=False)

    def forward(self, x: Tensor, boxes: Tensor | None = None) -> Regions:
        """Propose regions for maps `[B, T, D, H, W]`; boxes are not looked at."""
        del boxes
        states_BTNO = self.generator(of_size(x, self.size))
        states_BTNO = self.offset_after(self.offset_time(self.offset_before(states_BTNO)))
        offsets = (self.offset_scale * self.offset(states_BTNO)).float()
        return moved(self.anchor, offsets if self.scales else F.pad(offsets, (2, 0)), x)


class FixedRegions(nn.Module):
    """Regions that are the same in all videos.

    Args:
        anchors: Where they are, or begin.
        learned: Whether they are moved and scaled by numbers that are learned (`static`).
    """

    anchor: Tensor

    def __init__(self, anchors: Anchors, learned: bool) -> None:
        super().__init__()
        self.offsets = nn.Parameter(torch.zeros(NUM_NODES, 4)) if learned else None
        self.register_buffer("anchor", anchor_points(anchors), persistent=False)

    def forward(self, x: Tensor, boxes: Tensor | None = None) -> Regions:
        """Give the regions for maps `[B, T, D, H, W]`; boxes are not looked at."""
        del boxes
        offsets = self.anchor.new_zeros(NUM_NODES, 4) if self.offsets is None else self.offsets
        alike = moved(self.anchor, offsets, x)
        return Regions(*(part.expand(*x.shape[:2], *part.shape) for part in alike))


class SemanticRegions(nn.Module):
    """Regions by content alone: nodes share each place by a softmax of what stands there, wherever it is.

    The mask is that of the Lite generator, and is itself what gathers and spreads, each node's divided by its sum. The
    paper's layers for this ablation are not published.

    Args:
        channels: D.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mask = nn.Conv2d(channels, NUM_NODES, 1)

    def forward(self, x: Tensor, boxes: Tensor | None = None) -> Regions:
        """Give masks for maps `[B, T, D, H, W]`, with the centre and the spread of each; boxes are not looked at."""
        del boxes
        mask_FNHW = torch.softmax(self.mask(x.flatten(0, 1)).float(), 1)
        kernels = (mask_FNHW / mask_FNHW.sum((2, 3), keepdim=True)).view(*x.shape[:2], *mask_FNHW.shape[1:])
        centres, halves = [], []
        for sums in (kernels.sum(-1), kernels.sum(-2)):
            places = torch.arange(sums.shape[-1], dtype=torch.float32, device=x.device)
            centre = (sums * places).sum(-1)
            variance = (sums * (places - centre[..., None]) ** 2).sum(-1)
            centres.append(centre)
            halves.append(TENT * variance.sqrt())
        return Regions(torch.stack(centres, -1), torch.stack(halves, -1), kernels)


class GivenRegions(nn.Module):
    """Regions around boxes that the data set knows: as many nodes as there are boxes in a frame."""

    def forward(self, x: Tensor, boxes: Tensor | None = None) -> Regions:
        """Give the regions of boxes.

        Args:
            x: Maps, `[B, T, D, H, W]`.
            boxes: Shares of the frame (left, top, right, bottom), `[B, T, N, 4]`, of the same time steps.

        Raises:
            PipelineError: if there are no boxes.
        """
        if boxes is None:
            raise PipelineError(
                "regions: boxes wants the boxes of the objects in each frame, which Recognizer.forward(x, boxes) takes "
                "and no stage gives: name regions: dynamic, or call it from Python"
            )
        size = _size(x)
        first, last = boxes[..., [1, 0]].float() * size, boxes[..., [3, 2]].float() * size
        centre = torch.minimum((first + last) / 2, size - 1)
        half = ((last - first) / 2).clamp(min=SMALLEST)
        return Regions(centre, half, tent_kernels(centre, half, *x.shape[-2:]))


def moved(anchor: Tensor, offsets: Tensor, x: Tensor) -> Regions:
    """Move and scale regions.

    Args:
        anchor: Where they begin, as shares (y, x), `[N, 2]`.
        offsets: Of height, width, and the shifts down and to the right, `[.., N, 4]`; 0 for where they begin.
        x: The maps, which say the size, `[B, T, D, H, W]`.
    """
    size = _size(x)
    half = torch.exp(offsets[..., :2]) * (size / (2 * GRID) + 1) + 1
    start = torch.atanh((2 * anchor - 1).clamp(EDGE - 1, 1 - EDGE))
    centre = size / 2 * (1 + torch.tanh(offsets[..., 2:] + start))
    centre = torch.minimum(centre.clamp(min=0), size - 1)
    return Regions(centre, half, tent_kernels(centre, half, *x.shape[-2:]))


def of_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps `[B, T, .., H, W]` averaged to a size."""
    if maps.shape[-2:] == size:
        return maps
    frames = F.adaptive_avg_pool2d(maps.flatten(0, 1), size)
    return frames.view(*maps.shape[:2], *frames.shape[1:])


def anchor_points(kind: str) -> Tensor:
    """Where regions begin, as shares (y, x) of height and width, `[N, 2]`."""
    if kind == "centre":
        return torch.full((NUM_NODES, 2), 0.5)
    cells = [(row, column) for row in range(GRID) for column in range(GRID)]
    return torch.tensor([[(row + 0.5) / GRID, (column + 0.5) / GRID] for row, column in cells])


def _size(x: Tensor) -> Tensor:
    return torch.tensor(x.shape[-2:], dtype=torch.float32, device=x.device)
