"""Sample frames of every video by their true time stamps.

One frame is taken every 1 / fps seconds of presentation time and at most `max_frames` are kept, evenly spread, as in
CLIP4Clip (Luo et al. 2021, section 3; "uniform" sampling), whose code counts whole frames a second instead and drifts
on 29.97. Shape suffixes: F frames of the file, S sampled frames, H height, W width, C colour.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import create, read_json
from pipeline.config import SamplingSettings
from pipeline.decoding import frame_times, open_video, read_frames
from pipeline.errors import PipelineError, VideoError
from pipeline.progress import track
from pipeline.schemas import FRAMES

TIME_TOLERANCE = 1e-3  # seconds: Matroska rounds time stamps to milliseconds, so a frame may seem that much late

Arrays = dict[str, NDArray[Any]]


def run(videos: Path, out: Path, settings: SamplingSettings, threads: int) -> None:
    """Decode the sampled frames of one shard of videos.

    Args:
        videos: The shard's video table.
        out: The store to write (schema `frames`).
        settings: Which frames, and at what size; what to do about a video that cannot be decoded.
        threads: Videos decoded at a time.

    Raises:
        PipelineError: if a video cannot be decoded and `on_bad_video` is `fail`.
    """
    table = read_json(videos, ["root", "videos"], "index_videos")
    root = Path(table["root"])
    entries = {entry["id"]: entry for entry in table["videos"]}

    def decode(video_id: str) -> Arrays | VideoError:
        entry = entries[video_id]
        try:
            return decode_video(root / entry["path"], entry["size"], settings)
        except VideoError as error:
            return error

    with create(
        out, FRAMES, ids=list(entries), stage="decode_frames", settings=settings, inputs={"videos": videos}
    ) as writer:
        todo = writer.remaining
        decoded = zip(todo, in_order(decode, todo, threads), strict=True)
        for video_id, result in track(decoded, len(todo), "decode_frames"):
            if not isinstance(result, VideoError):
                writer.append(video_id, **result)
            elif settings.on_bad_video == "record":
                writer.fail(video_id, str(result))
            else:
                raise PipelineError(
                    f"{root / entries[video_id]['path']} (video {video_id}): {result}; remove it, or set "
                    "`on_bad_video: record` in the sampling to go on without it"
                ) from result


def decode_video(path: Path, size: int, settings: SamplingSettings) -> Arrays:
    """The sampled frames of one video, as in the schema `frames`.

    Args:
        path: The file.
        size: Its bytes when it was indexed.
        settings: Which frames, and at what size.

    Raises:
        VideoError: if the file is missing, is another one than was indexed, or cannot be decoded.
    """
    reader = open_video(path)
    if path.stat().st_size != size:
        raise VideoError(f"the file has {path.stat().st_size} bytes, it had {size} when it was indexed: index it again")
    times_F = frame_times(reader)
    numbers_S = sample_frames(times_F, settings.fps, settings.max_frames)
    _, height, width, _ = read_frames(reader, numbers_S[:1]).shape
    stored_hw = fit_short_side(height, width, settings.short_side)
    if stored_hw != (height, width):
        reader = open_video(path, stored_hw)  # scaled while decoding: a frame of its own size is never kept
    pixels_SHWC = read_frames(reader, numbers_S)
    return {
        "pixels": pixels_SHWC.reshape(-1, 3),
        "number": numbers_S,
        "time": times_F[numbers_S],
        "size": np.array([stored_hw]),
        "num_frames": np.array([len(times_F)]),
        "fps": np.array([mean_rate(times_F)]),
    }


def sample_frames(times_F: NDArray[np.float64], fps: float, max_frames: int) -> NDArray[np.int64]:
    """Numbers of the frames on show at t0, t0 + 1 / fps, t0 + 2 / fps, ... up to the last frame's time.

    Each frame at most once, however high `fps` is. Where there are more than `max_frames`, as many are chosen at equal
    distances (rounded down), the first and the last among them; of `max_frames` 1, the first.

    Args:
        times_F: Presentation times in seconds, ascending, F >= 1.
        fps: Frames to take of a second; any positive number.
        max_frames: Bound on how many.

    Returns:
        [S] ascending.

    Raises:
        VideoError: if the times do not ascend.
    """
    if not np.isfinite(times_F).all() or (np.diff(times_F) < 0).any():
        raise VideoError("its time stamps do not ascend: the file is damaged, or its container was written wrongly")
    num_instants = int((times_F[-1] - times_F[0] + TIME_TOLERANCE) * fps) + 1
    instants = times_F[0] + np.arange(num_instants) / fps
    sampled = np.unique(np.searchsorted(times_F, instants + TIME_TOLERANCE, side="right") - 1)
    if len(sampled) > max_frames:
        sampled = sampled[np.arange(max_frames) * (len(sampled) - 1) // max(1, max_frames - 1)]
    return sampled.astype(np.int64)


def fit_short_side(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Height and width of a frame whose short side is at most `short_side` pixels.

    Never enlarged. The long side keeps the aspect, rounded to the nearest even number.
    """
    short, long = sorted((height, width))
    if short <= short_side:
        return height, width
    scaled = 2 * round(long * short_side / short / 2)
    return (short_side, scaled) if height <= width else (scaled, short_side)


def mean_rate(times_F: NDArray[np.float64]) -> float:
    """Frames a second from the first to the last; 0 where there is one only."""
    duration = float(times_F[-1] - times_F[0])
    return (len(times_F) - 1) / duration if duration > 0 else 0.0


def in_order(
    function: Callable[[str], Arrays | VideoError], items: Iterable[str], threads: int
) -> Iterator[Arrays | VideoError]:
    """Results of `function`, in order, worked out a few ahead (decord releases Python's lock while it decodes)."""
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[Arrays | VideoError]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > threads:  # more would only fill the memory
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
