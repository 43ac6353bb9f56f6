"""Real video files for the tests, made with PyAV."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

MILLISECOND = Fraction(1, 1000)


def encode(
    path: Path,
    images: Iterable[NDArray[np.uint8]],
    rate: Fraction | int,
    codec: str = "libx264",
    times_ms: Sequence[int] | None = None,
    options: Mapping[str, str] | None = None,
    codec_options: Mapping[str, str] | None = None,
) -> None:
    """Write images, each [height, width, 3] of RGB, as a video.

    Args:
        path: The file; its folder is made.
        images: All of one size.
        rate: Frames a second.
        codec: An encoder of FFmpeg.
        times_ms: When each image is shown, for a frame rate that varies.
        options: Of the container.
        codec_options: Of the encoder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=dict(options or {})) as container:
        stream = container.add_stream(codec, rate=rate, options=dict(codec_options or {}))
        for number, image in enumerate(images):
            if number == 0:
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                if times_ms is not None:
                    stream.codec_context.time_base = MILLISECOND
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_bar_video(
    path: Path,
    num_frames: int,
    size_hw: tuple[int, int] = (48, 80),
    rate: Fraction | int = 10,
    codec: str = "libx264",
    times_ms: Sequence[int] | None = None,
    options: Mapping[str, str] | None = None,
    codec_options: Mapping[str, str] | None = None,
) -> None:
    """A bright bar on a dark ground, a step further in each frame. `times_ms` makes the frame rate vary."""
    encode(path, _moving_bar(num_frames, size_hw), rate, codec, times_ms, options, codec_options)


def write_block_video(path: Path, seed: int, num_frames: int = 20, rate: int = 10) -> None:
    """A bright square that moves over noise, as H.264."""
    encode(path, _moving_block(seed, num_frames), rate)


def _moving_bar(num_frames: int, size_hw: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    for number in range(num_frames):
        image = np.full((*size_hw, 3), 40, np.uint8)
        left = number * 4 % (size_hw[1] - 8)
        image[:, left : left + 8] = 220
        yield image


def _moving_block(seed: int, num_frames: int) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    for number in range(num_frames):
        image = rng.integers(0, 60, (48, 64, 3), dtype=np.uint8)
        left = (number * 2 + seed) % 48
        image[16:32, left : left + 16] = (200, 40 * (seed % 6), 90)
        yield image
