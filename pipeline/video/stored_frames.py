"""Frames as the `frames` artifact stores them, and the part of them that is looked at.

Shapes: F frames, H height, W width.
"""

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def frames_of(video: Mapping[str, NDArray[Any]]) -> Tensor:
    """The frames of a video, bytes [F, H, W, 3], from its rows `pixels` and `size`."""
    height, width = (int(length) for length in video["size"].reshape(2))
    return torch.from_numpy(video["pixels"].reshape(-1, height, width, 3))


def central_square(height: int, width: int) -> tuple[int, int, int, int]:
    """Pixel bounds (x0, y0, x1, y1), ends exclusive, of the largest square in the middle of a frame."""
    side = min(height, width)
    left, top = round((width - side) / 2), round((height - side) / 2)
    return left, top, left + side, top + side
