"""Choose the frames of a clip that are sampled, and read them: the work of a worker of `decode_frames`.

One frame is taken every 1 / fps seconds of presentation time and at most `max_frames` are kept, evenly spread, as in
CLIP4Clip (Luo et al. 2021, section 3; "uniform" sampling), whose code counts whole frames a second instead and drifts
at 29.97. This module is apart from the stage, because a worker that imports little starts quickly.

Shapes: F frames of the clip, S sampled frames, H height, W width, C colour.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.video.clip_frames import clip_frames
from pipeline.video.decoding import Video, open_video, read_frames
from pipeline.video.interval import Interval
from pipeline.video.mishaps import costing_one_video

TIME_TOLERANCE = 1e-3  # seconds: Matroska rounds time stamps to milliseconds, so a frame may seem that much late

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class SampledFrames:
    """The sampled frames of one clip.

    Attributes:
        arrays: The clip's rows of each array of the schema `frames`.
        suspect: Reason why the frames may be wrong; None if nothing was seen.
    """

    arrays: Arrays
    suspect: str | None


@dataclass(frozen=True)
class FramesRequest:
    """Which frames of one clip to sample, and how large.

    Attributes:
        path: The file.
        num_bytes: Size of the file in bytes when it was indexed.
        fps: Frames to take from each second.
        max_frames: Most frames to take.
        short_side: Most pixels that the short side of a frame may have.
        interval: The clip's part of the file; None for all of it.
    """

    path: Path
    num_bytes: int
    fps: float
    max_frames: int
    short_side: int
    interval: Interval | None = None


def read_sampled_frames(request: FramesRequest) -> SampledFrames:
    """Read the sampled frames of one clip.

    Raises:
        VideoError: if the file is missing, is another one than was indexed, cannot be decoded, or has no frame in the
            clip's interval; or whatever else it does.
        PipelineError: if the machine refused what any video needs.
    """
    with costing_one_video(), open_video(request.path) as video:
        num_bytes = request.path.stat().st_size
        if num_bytes != request.num_bytes:
            raise VideoError(
                f"the file has {num_bytes} bytes, it had {request.num_bytes} when it was indexed: index it again"
            )
        return _sample(video, request)


def _sample(video: Video, request: FramesRequest) -> SampledFrames:
    clip = clip_frames(video, request.interval)
    times_F = clip.times_F
    numbers_S = sample_frames(times_F, request.fps, request.max_frames, clip.begin)
    stored_hw = fit_short_side(*video.size_hw, request.short_side)
    pixels_SHWC = read_frames(
        video, clip.first + numbers_S, stored_hw
    )  # scaled while decoding: its own size is never kept
    arrays: Arrays = {
        "pixels": pixels_SHWC.reshape(-1, 3),
        "number": numbers_S,
        "time": times_F[numbers_S],
        "size": np.array([stored_hw]),
        "num_frames": np.array([len(times_F)]),
        "fps": np.array([mean_rate(times_F)]),
    }
    return SampledFrames(arrays, clip.suspect(video))


def sample_frames(
    times_F: NDArray[np.float64], fps: float, max_frames: int, begin: float | None = None
) -> NDArray[np.int64]:
    """Numbers of the frames on show at t0, t0 + 1 / fps, t0 + 2 / fps, ... up to the last frame's time.

    Each frame is taken at most once, however high `fps` is. Where there are more than `max_frames`, that many are
    chosen at equal distances (rounded down), the first and the last among them; if `max_frames` is 1, the first.

    The search is over the frames and not over the instants, because the clocks of some files jump by fifty years.

    Args:
        times_F: Presentation times in seconds, ascending, F >= 1.
        fps: Frames to take from each second; any positive number.
        max_frames: Most frames to take.
        begin: t0, at most the first frame's time, which is the default; the first frame counts as shown from t0 on.

    Returns:
        Frame numbers, [S], ascending.

    Raises:
        VideoError: if the times do not ascend.
    """
    if not np.isfinite(times_F).all() or (np.diff(times_F) < 0).any():
        raise VideoError("its time stamps do not ascend: the file is damaged, or its container was written wrongly")
    first = times_F[0] if begin is None else begin
    sampled = np.flatnonzero(_is_on_show(times_F, fps, first))
    if len(sampled) > max_frames:
        sampled = sampled[np.arange(max_frames) * (len(sampled) - 1) // max(1, max_frames - 1)]
    return sampled.astype(np.int64)


def _is_on_show(times_F: NDArray[np.float64], fps: float, first: float) -> NDArray[np.bool_]:
    """Whether each frame is on show at one of the instants first + k / fps, k = 0, 1, ..., up to the last frame."""

    def instant(k_F: NDArray[np.float64]) -> NDArray[np.float64]:
        return first + k_F / fps + TIME_TOLERANCE  # within the tolerance a frame is on show already

    last_k = np.floor((times_F[-1] - first + TIME_TOLERANCE) * fps)
    k_F = np.maximum(np.ceil((times_F - first - TIME_TOLERANCE) * fps), 0)  # the first instant not before the frame
    k_F -= (k_F > 0) & (instant(k_F - 1) >= times_F)  # that division and product were rounded may cost one
    k_F += instant(k_F) < times_F
    k_F[0] = 0  # nothing is shown before the first frame
    is_shown: NDArray[np.bool_] = (k_F <= last_k) & (instant(k_F) < np.append(times_F[1:], np.inf))
    return is_shown


def fit_short_side(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Scale height and width of a frame down, so that its short side has at most `short_side` pixels.

    A frame is never enlarged. The long side keeps the aspect ratio, rounded to the nearest even number.
    """
    short, long = sorted((height, width))
    if short <= short_side:
        return height, width
    scaled = 2 * round(long * short_side / short / 2)
    return (short_side, scaled) if height <= width else (scaled, short_side)


def mean_rate(times_F: NDArray[np.float64]) -> float:
    """Mean number of frames a second, from the first frame to the last; 0 where there is only one."""
    duration = float(times_F[-1] - times_F[0])
    return (len(times_F) - 1) / duration if duration > 0 else 0.0
