"""What VideoMAE hides of a clip, and what it has to tell of it (Tong et al., NeurIPS 2022, section 3).

Tokens are numbered by time steps first, then rows, then columns, as the temporal expert has them.

Shapes: B clips, F frames, H height, W width, N tokens, P pixels of a tubelet, V numbers of a tubelet (3 P).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.recognition.pixels import BRIGHTEST, IMAGENET

LEAST_DEVIATION = 1e-6  # a tubelet of one colour would be divided by 0


class TubeMask(NamedTuple):
    """The tokens of a clip, parted.

    Attributes:
        visible: Numbers of those that the encoder sees, ascending.
        hidden: Numbers of those that are to be told, ascending.
    """

    visible: Tensor
    hidden: Tensor


class TubeletSize(NamedTuple):
    """The size of a tubelet: its frames, and its side in pixels."""

    frames: int
    side: int


class Targets(NamedTuple):
    """What has to be told of tubelets, and how to make pixels of it: times `deviation`, plus `mean`.

    Attributes:
        wanted: `[B, N, P, 3]`.
        mean: What was taken away from each colour of each tubelet, `[B, N, 1, 3]`.
        deviation: What it was divided by.
    """

    wanted: Tensor
    mean: Tensor
    deviation: Tensor


def draw_tubes(steps: int, places: int, share: float, rng: np.random.Generator) -> TubeMask:
    """Hide the same places of a clip in all of its time steps, so that no neighbour in time gives them away.

    Args:
        steps: Tokens in time.
        places: Tokens of a frame.
        share: Share of the places that is hidden; their number is rounded down.
        rng: Draws the places.
    """
    order = torch.from_numpy(rng.permutation(places))
    num_hidden = hidden_places(places, share)
    start_T1 = torch.arange(steps)[:, None] * places
    hidden, visible = order[:num_hidden].sort().values, order[num_hidden:].sort().values
    return TubeMask((start_T1 + visible).flatten(), (start_T1 + hidden).flatten())


def hidden_places(places: int, share: float) -> int:
    """How many of the places are hidden."""
    return int(share * places)


def cut(x_BF3HW: Tensor, size: TubeletSize) -> Tensor:
    """Cut clips into tubelets.

    Args:
        x_BF3HW: Bytes of clips.
        size: Size of a tubelet.

    Returns:
        Their pixels by frames, rows and columns, as shares of the brightest one: `[B, N, P, 3]` in float32.
    """
    frames, side = size
    clips, num_frames, colours, height, width = x_BF3HW.shape
    steps, rows, columns = num_frames // frames, height // side, width // side
    parts = x_BF3HW.reshape(clips, steps, frames, colours, rows, side, columns, side)
    ordered = parts.permute(0, 1, 4, 6, 2, 5, 7, 3)
    return ordered.reshape(clips, steps * rows * columns, frames * side * side, colours).float() / BRIGHTEST


def join(pixels_BNP3: Tensor, size: TubeletSize, steps: int, rows: int) -> Tensor:
    """Put tubelets of square frames together again: the bytes `[B, F, 3, H, W]` of what `cut` has cut.

    Args:
        pixels_BNP3: Shares of the brightest pixel; what is beyond 0 and 1 is cut off.
        size: Size of a tubelet.
        steps: Tokens in time.
        rows: Tokens along the side of a frame.
    """
    frames, side = size
    clips = len(pixels_BNP3)
    parts = pixels_BNP3.reshape(clips, steps, rows, rows, frames, side, side, 3).permute(0, 1, 4, 7, 2, 5, 3, 6)
    whole = parts.reshape(clips, steps * frames, 3, rows * side, rows * side)
    return (whole * BRIGHTEST).round().clamp(0, BRIGHTEST).to(torch.uint8)


def targets(pixels_BNP3: Tensor, form: str) -> Targets:
    """What has to be told of tubelets.

    Args:
        pixels_BNP3: Their pixels.
        form: `normalised`: each colour of each tubelet with mean 0 and deviation 1 (the unbiased one), as MAE and
            VideoMAE have it, so that structure counts and brightness does not. `pixels`: as the encoder sees them, by
            the mean and deviation of all pixels, for frames whose plain parts hold noise alone, which normalising would
            make as large as all else.
    """
    if form == "pixels":
        whole = torch.zeros_like(pixels_BNP3[:, :, :1])
        mean, deviation = (whole + torch.tensor(numbers, device=whole.device) for numbers in IMAGENET)
    else:
        mean = pixels_BNP3.mean(2, keepdim=True)
        deviation = pixels_BNP3.var(2, keepdim=True).sqrt() + LEAST_DEVIATION
    return Targets((pixels_BNP3 - mean) / deviation, mean, deviation)


def take(x_BNX: Tensor, numbers_BK: Tensor) -> Tensor:
    """The rows of each clip that have these numbers: `[B, K, ...]`."""
    clips_B1 = torch.arange(len(x_BNX), device=x_BNX.device)[:, None]
    return x_BNX[clips_B1, numbers_BK]
