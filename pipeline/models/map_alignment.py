"""Bring the maps of all windows of a clip to one size, and round them so that a clip takes little room.

Shapes: W windows, S steps of a window's map, H rows, W columns (in `_HWC`), C channels, T steps of all windows, A steps
of the aligned maps.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from pipeline.errors import PipelineError

MOST_BYTES = 2**20  # of a clip in a store
FRACTION_BITS = 10  # of a number in half precision, beside a sign and an exponent of 5 bits

Maps = NDArray[np.float32]


def align(maps_THWC: Maps, size: tuple[int, int, int]) -> Maps:
    """Resize the maps of a clip, trilinear, with cells and not their corners aligned.

    Args:
        maps_THWC: The maps of all windows, one after another.
        size: Steps, rows and columns.

    Returns:
        Maps `[*size, C]`.
    """
    x_1CTHW = torch.from_numpy(maps_THWC).movedim(-1, 0)[None]
    resized = F.interpolate(x_1CTHW, size, mode="trilinear", align_corners=False)
    return np.ascontiguousarray(resized[0].movedim(0, -1).numpy())


def step_frames(starts: tuple[int, ...], window: int, steps: int, num_aligned: int) -> NDArray[np.float64]:
    """Number of the frame in the middle of each step of the aligned maps, `[A]`; it is no whole number.

    Args:
        starts: First frame of each window.
        window: Frames of a window.
        steps: Steps of the map of a window.
        num_aligned: A.
    """
    middle_S = (np.arange(steps) + 0.5) * window / steps - 0.5
    middle_T = (np.array(starts, np.float64)[:, None] + middle_S).reshape(1, 1, -1)
    aligned = F.interpolate(torch.from_numpy(middle_T), num_aligned, mode="linear", align_corners=False)
    return np.asarray(aligned[0, 0].numpy())


def rounded(maps: Maps, bits: int) -> NDArray[np.float16]:
    """Round to half precision with so many bits of the fraction; zeros in the place of the others take little room.

    The error is at most 2^-(bits + 1) of a number of half precision.

    Args:
        maps: Finite numbers within the range of half precision.
        bits: 1 to 10.
    """
    dropped = FRACTION_BITS - bits
    half = maps.astype(np.float16)
    if dropped == 0:
        return half
    # A carry out of the fraction raises the exponent, which is right; beyond the largest number it would give infinity.
    largest = np.uint32((0x7BFF >> dropped) << dropped)
    number = half.view(np.uint16).astype(np.uint32)
    sign, size = number & 0x8000, number & 0x7FFF
    size = ((size + (1 << (dropped - 1))) >> dropped) << dropped
    found: NDArray[np.float16] = (sign | np.minimum(size, largest)).astype(np.uint16).view(np.float16)
    return found


def require_small(size: tuple[int, int, int], channels: int, bits: int) -> None:
    """Raise PipelineError if the maps of a clip could take more than 1 MiB in a store.

    Compression makes a number no larger than its sign, its exponent and the bits that are kept of its fraction: random
    numbers of either sign take 0.88 to 0.95 of that.
    """
    num_bytes = np.prod([*size, channels], dtype=int) * (6 + bits) / 8
    if num_bytes > MOST_BYTES:
        shape = " x ".join(str(number) for number in (*size, channels))
        raise PipelineError(
            f"maps: {shape} numbers of a clip, of which {bits} bits of the fraction are kept, may take "
            f"{num_bytes / 2**20:.2f} MiB, expected at most {MOST_BYTES / 2**20:.0f}: lower `bits` or `align_size`"
        )
