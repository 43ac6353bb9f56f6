"""Compute I3D features of windows, in batches that videos share.

Batches run across videos and are always full, so that features depend neither on the other videos of a shard nor on
where a run was interrupted.

Shapes: B windows of a batch, T frames of a window, H height, W width, C colour or channel.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.models.i3d import FIRST_CHANNELS, InceptionI3d, normalise
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.video.windows import WindowFrames, Windows

BATCH_SIZE = 16  # most windows of a batch
# Most bytes of the first layer's output on a CPU, which is the largest: what is no longer in the cache is read slowly.
CACHED_BYTES = 2**25

Encode = Callable[[Windows], NDArray[np.float32]]


class WindowSeries(Protocol):
    """The windows of one video, u1 [T, H, W, C] each: an array, or an object that makes a window when it is read."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


def windows_at_once(most: int, size: int, length: int, device: torch.device) -> int:
    """Number of windows of a batch: on a GPU `most`; on a CPU so many that what a layer hands on stays in its cache.

    A CPU with 32 MB of cache takes 420 ms for one window of 224 pixels, and 446 ms a window for two; at 48 pixels
    25 ms for each of eight, 22 ms for each of sixteen, and 24 ms for each of 32.

    Args:
        most: Most windows of a batch.
        size: Side of a window in pixels.
        length: Frames of a window.
        device: Device that the network computes on.
    """
    if device.type != "cpu":
        return most
    num_bytes = 4 * FIRST_CHANNELS * -(-length // 2) * (-(-size // 2)) ** 2
    return max(1, min(most, CACHED_BYTES // num_bytes))


def make_encoder(model: InceptionI3d, precision: str) -> Encode:
    """Make a function from windows u1 [B, T, H, W, 3] to their features float32 [B, 1024].

    Args:
        model: The network with its weights; a copy of it is used, and it stays as it is.
        precision: "fp32", "bf16" or "auto".
    """
    device = compute_device()
    dtype = announced_dtype(precision, device, "the encoder")
    network = model.folded().to(device, dtype, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def encode(windows_BTHWC: Windows) -> NDArray[np.float32]:
        with torch.inference_mode():
            x_BCTHW = normalise(torch.from_numpy(windows_BTHWC).to(device)).to(dtype)
            features_BC = network.extract_features(x_BCTHW).mean(dim=2).flatten(1)
            return np.asarray(features_BC.float().cpu().numpy())

    return encode


def noting(
    decoded: Iterable[WindowFrames | VideoError], suspect: deque[str | None]
) -> Iterator[WindowFrames | VideoError]:
    """Yield the decoded videos unchanged, and note for each why its frames are suspect.

    Args:
        decoded: For each video, its windows, or the error that left it without any.
        suspect: Queue that gets a reason, or None, for each video. `encode_across` yields the videos later, in the same
            order.
    """
    for outcome in decoded:
        suspect.append(None if isinstance(outcome, VideoError) else outcome.suspect)
        yield outcome


def encode_across(
    decoded: Iterable[WindowSeries | VideoError], encode: Encode, batch_size: int
) -> Iterator[NDArray[np.float32] | VideoError]:
    """Encode the windows of many videos in batches that run across videos.

    Every batch is full; the last one repeats its last window. Features then do not depend on where a run was
    interrupted.

    Args:
        decoded: For each video, its windows, or the error that left it without any.
        encode: Function from windows [batch_size, ...] to features [batch_size, 1024].
        batch_size: Number of windows in a batch.

    Yields:
        For each video, in order, the features of its windows, or that error.
    """
    videos: deque[int | VideoError] = deque()  # not yet yielded: number of windows, or the error
    windows: list[NDArray[np.uint8]] = []
    features: list[NDArray[np.float32]] = []
    for outcome in decoded:
        videos.append(outcome if isinstance(outcome, VideoError) else len(outcome))
        for window in [] if isinstance(outcome, VideoError) else outcome:
            windows.append(window)
            if len(windows) == batch_size:
                features.extend(encode(np.stack(windows)))
                windows.clear()
        yield from _complete(videos, features)
    if windows:
        padded = windows + windows[-1:] * (batch_size - len(windows))
        features.extend(encode(np.stack(padded))[: len(windows)])
    yield from _complete(videos, features)


def _complete(
    videos: deque[int | VideoError], features: list[NDArray[np.float32]]
) -> Iterator[NDArray[np.float32] | VideoError]:
    """Yield, and take off the queues, the first videos as long as all their windows are encoded."""
    while videos:
        video = videos[0]
        if isinstance(video, VideoError):
            yield video
        elif len(features) >= video:
            yield np.stack(features[:video])
            del features[:video]
        else:
            return
        videos.popleft()
