"""Which frames of a clip a network sees: pure functions of the number of frames.

Frames are numbered from 0. Published numbers from 1 are one higher.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError

Frames = NDArray[np.int64]
SegmentMode = Literal["train", "val", "test", "test_starts"]


def segments(
    num_frames: int, num_segments: int, mode: SegmentMode = "train", rng: np.random.Generator | None = None
) -> Frames:
    """Take a frame of each of equal segments (TSN; Wang et al., 2016), as TSM and DyReg do.

    Args:
        num_frames: Frames of the clip, at least 1.
        num_segments: T.
        mode: `train`: a random frame of each segment, whose length is rounded down, or the first frame T times where
            the clip is shorter than T. `val`: the middle of each segment, or the first frame T times where the clip is
            not longer than T. `test`: the middles, however short the clip. `test_starts`: the first frame of each
            segment.
        rng: Draws the frames of `train`.

    Returns:
        T frame numbers, ascending.

    Raises:
        PipelineError: if the clip has no frame.
    """
    _check(num_frames, num_segments)
    is_short = num_frames < num_segments or (mode == "val" and num_frames == num_segments)
    if mode in ("train", "val") and is_short:
        return np.zeros(num_segments, dtype=np.int64)
    tick = num_frames / num_segments
    start_T = np.arange(num_segments) * tick
    if mode == "test_starts":
        return start_T.astype(np.int64)
    if mode != "train":
        return (start_T + tick / 2).astype(np.int64)
    if rng is None:
        raise ValueError("frames of training are drawn: pass a generator")
    length = num_frames // num_segments
    drawn_T: Frames = np.arange(num_segments) * length + rng.integers(length, size=num_segments)
    return drawn_T


def dense(num_frames: int, num_sampled: int, stride: int, rng: np.random.Generator) -> Frames:
    """Take frames of a random window of `T x stride` frames at equal distances, as VideoMAE and CAST do in training.

    Args:
        num_frames: Frames of the clip, at least 1. One that is not longer than the window is taken as a whole, at about
            its stride, and its last frame repeated.
        num_sampled: T.
        stride: Frames from one to the next.
        rng: Draws the window.

    Returns:
        T frame numbers, ascending.

    Raises:
        PipelineError: if the clip has no frame.
    """
    _check(num_frames, num_sampled)
    window = num_sampled * stride
    if num_frames > window:
        start = int(rng.integers(num_frames - window))
        even_T = np.linspace(start, start + window, num_sampled).astype(np.int64)
        end = start + window
    else:
        spread = np.linspace(0, num_frames, num_frames // stride).astype(np.int64)
        even_T = np.concatenate([spread, np.full(num_sampled - len(spread), num_frames)])
        end = num_frames
    frames_T: Frames = np.minimum(even_T, end - 1)
    return frames_T


def dense_views(num_frames: int, num_sampled: int, stride: int, num_views: int) -> Frames:
    """Take windows of frames at a stride, whose starts are spread over the clip, as VideoMAE and CAST do in testing.

    Args:
        num_frames: Frames of the clip, at least 1. The last frame that is kept is repeated where T are not kept.
        num_sampled: T.
        stride: Frames from one to the next.
        num_views: V.

    Returns:
        Frame numbers, `[V, T]`.

    Raises:
        PipelineError: if the clip has no frame.
    """
    _check(num_frames, num_sampled)
    kept = np.arange(0, num_frames, stride, dtype=np.int64)
    step = max((len(kept) - num_sampled) / (num_views - 1), 0) if num_views > 1 else 0.0
    start_V = (np.arange(num_views) * step).astype(np.int64)
    views_VT: Frames = kept[np.minimum(start_V[:, None] + np.arange(num_sampled), len(kept) - 1)]
    return views_VT


def uniform(num_frames: int, num_sampled: int, shift: float = 0.0) -> Frames:
    """Take frames from the first to the last at equal distances, rounded down (RSTG).

    Args:
        num_frames: Frames of the clip, at least 1.
        num_sampled: T.
        shift: Share of `num_frames / T`, rounded, by which all frames are late; none is later than the last.

    Returns:
        T frame numbers, ascending.

    Raises:
        PipelineError: if the clip has no frame.
    """
    _check(num_frames, num_sampled)
    late = round(shift * num_frames / num_sampled)
    even_T = np.linspace(0, num_frames - 1, num_sampled).astype(np.int64)
    return np.minimum(even_T + late, num_frames - 1)


def _check(num_frames: int, num_sampled: int) -> None:
    if num_frames < 1 or num_sampled < 1:
        raise PipelineError(f"{num_sampled} frames cannot be taken of a clip of {num_frames}")
