"""TensorFlow's SAME padding for 3D operations, and max pooling with it.

Shapes: B windows, C channels, T frames or time steps, H height, W width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Triple = tuple[int, int, int]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Number of zeros before and after an axis for TensorFlow's SAME padding: ceil(size / stride) steps come out.

    An odd number has one more behind than before. Whether it is odd depends on the input's size.
    """
    steps = -(-size // stride)
    total = max((steps - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_same(x_BCTHW: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> tuple[Tensor, Triple]:
    """Pad the input by what the operation, which pads alike before and behind, cannot; it skips the zeros that it pads.

    The width is padded here wholly, if anything is: with AVX2, oneDNN takes 141 ms for I3D's first layer if it pads the
    width, and 114 ms if it pads time and height alone.

    Returns:
        The input, padded or as it was, and the symmetric padding that the operation still has to do.
    """
    time, height, width = (same_padding(*of) for of in zip(x_BCTHW.shape[2:], kernel, stride, strict=True))
    if all(before == after for before, after in (time, height, width)):
        return x_BCTHW, (time[0], height[0], width[0])
    x_BCTHW = F.pad(x_BCTHW, (*width, 0, height[1] - height[0], 0, time[1] - time[0]))
    return x_BCTHW, (time[0], height[0], 0)


def max_pool_same(x_BCTHW: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Max pooling with SAME padding of an input that is never negative, so that zeros may stand for what is padded.

    A CPU pools one axis after the other by maxima of whole slices: at most nine passes in the place of 27 comparisons
    a number, and no positions of the maxima are kept.

    Returns:
        [B, C, ceil(T / stride), ceil(H / stride), ceil(W / stride)], in the memory format of the input.
    """
    if x_BCTHW.device.type != "cpu":
        x_BCTHW, padding = pad_same(x_BCTHW, kernel, stride)
        return F.max_pool3d(x_BCTHW, kernel, stride, padding)
    for axis in range(3):
        x_BCTHW = _max_along(x_BCTHW, axis + 2, kernel[axis], stride[axis])
    return x_BCTHW


def _max_along(x: Tensor, axis: int, kernel: int, stride: int) -> Tensor:
    """Max pooling along one axis."""
    size = x.shape[axis]
    before, _ = same_padding(size, kernel, stride)
    steps = -(-size // stride)
    if kernel == 1:
        return x[(slice(None),) * axis + (slice(None, None, stride),)]
    everywhere, partly = [], []
    for offset in range(-before, kernel - before):  # of a tap from the place where the step's stride begins
        first, end = max(0, -(offset // stride)), min(steps, (size - 1 - offset) // stride + 1)
        if first >= end:
            continue  # a tap that sees nothing but padding
        last = (end - 1) * stride + offset
        tap = x[(slice(None),) * axis + (slice(first * stride + offset, last + 1, stride),)]
        if end - first == steps:
            everywhere.append(tap)
        else:
            partly.append((first, tap))
    out = everywhere[0].clone() if len(everywhere) == 1 else torch.maximum(everywhere[0], everywhere[1])
    for first, tap in [*((0, tap) for tap in everywhere[2:]), *partly]:
        part = out.narrow(axis, first, tap.shape[axis])
        torch.maximum(part, tap, out=part)
    return out
