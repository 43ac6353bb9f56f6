"""Compute maps of windows of frames, before any pooling, by I3D.

Shapes: B windows, T frames of a window, S steps of its map, H height, W width, C colours or channels.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config import I3dSettings
from pipeline.models.i3d import InceptionI3d, normalise
from pipeline.models.motion_encoding import BATCH_SIZE, windows_at_once
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.video.windows import RESIZE_SCALE, WindowFrames, Windows

Box = tuple[float, float, float, float]


class MapEncoder(NamedTuple):
    """An encoder of windows, with how it wants them to be cut.

    Attributes:
        encode: From windows u1 `[B, T, H, W, 3]` to maps float32 `[B, S, H', W', C]`.
        at_once: Number of windows of a batch.
        size_of: From height and width of a video's frames to the size that `WindowRequest` takes.
        cut: From the decoded windows of a video to those that `encode` takes.
        seen: From height and width of a video's frames to the part of the frame that is seen: left, top, right and
            bottom as shares.
    """

    encode: Callable[[Windows], NDArray[np.float32]]
    at_once: int
    size_of: Callable[[int, int], int | tuple[int, int]]
    cut: Callable[[WindowFrames], WindowFrames]
    seen: Callable[[int, int], Box]


def i3d_maps(model: InceptionI3d, settings: I3dSettings, window: int) -> MapEncoder:
    """Make the encoder of I3D's maps `[B, T / 8, size / 32, size / 32, 1024]`, rounded up.

    Args:
        model: The network with its weights; a copy of it is used, and it stays as it is.
        settings: Side of the square that the network sees, and precision.
        window: Frames of a window.
    """
    device = compute_device()
    dtype = announced_dtype(settings.precision, device, "the encoder")
    network = model.folded().to(device, dtype, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def encode(windows_BTHWC: Windows) -> NDArray[np.float32]:
        with torch.inference_mode():
            x_BCTHW = normalise(torch.from_numpy(windows_BTHWC).to(device)).to(dtype)
            return np.asarray(network.maps(x_BCTHW).float().movedim(1, -1).cpu().numpy())

    at_once = windows_at_once(BATCH_SIZE, settings.size, window, device)
    return MapEncoder(encode, at_once, lambda _, __: settings.size, lambda found: found, central_square)


def central_square(height: int, width: int) -> Box:
    """The part of a frame that I3D sees: a square of its centre, with a margin beside it along the shorter side."""
    side = min(height, width) / RESIZE_SCALE
    across, down = side / width / 2, side / height / 2
    return (0.5 - across, 0.5 - down, 0.5 + across, 0.5 + down)
