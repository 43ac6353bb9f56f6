"""Read a file as the decoding stages do, in a worker, and compare what comes with plain PyAV; it loads no torch.

Shapes: S sampled frames, H height, W width, C colour.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from videos.process_memory import field_of

from pipeline.errors import VideoError
from pipeline.video.frame_sampling import FramesRequest, read_sampled_frames
from pipeline.video.orientation import AS_STORED, Orientation, orientation_of
from pipeline.video.windows import WindowRequest, read_window_frames

# Levels, of 255, as tests/videos/test_corpus.py has them: swscale of decord and of PyAV round differently. Half that
# size in the mean would be a bar that stands in the place of the frame before.
MEAN_TOLERANCE = 2.0
SAME_TIME = 2e-3  # seconds
# One frame of 25 a second. Packets of program streams have a time now and then; FFmpeg guesses the others, and where a
# header is damaged it guesses otherwise when it goes back to the start.
GUESSED_TIME = 0.042


def examine(path_: str) -> dict[str, Any]:
    """Read the sampled frames and a window of a file, and say what became of it.

    Returns:
        `outcome` (ok, suspect, left out, or by chance: see `is_by_chance`), `reason`, `wrong` (how frames differ from
        PyAV's where nothing was said; None if they do not), `seconds` of a processor and `bytes` of memory at its
        highest, both without the comparison.
    """
    path = Path(path_)
    Path("/proc/self/clear_refs").write_text("5")  # the highest memory counts from here
    start = time.process_time()
    outcome, reason, sampled = "ok", None, None
    try:
        sampled = read_sampled_frames(FramesRequest(path, path.stat().st_size, 5.0, 12, 448))
        windows = read_window_frames(WindowRequest(path, int(sampled.arrays["num_frames"][0]), (0, 8), 8, 32))
        reason = "; ".join(dict.fromkeys(filter(None, (sampled.suspect, windows.suspect)))) or None
        outcome = "ok" if reason is None else "suspect"
    except VideoError as error:
        outcome, reason = "left out", str(error)
    found = {"outcome": outcome, "reason": reason, "wrong": None, "seconds": time.process_time() - start}
    found["bytes"] = field_of(Path("/proc/self/status"), "VmHWM")
    if outcome == "ok" and sampled is not None:
        found["wrong"] = difference(path, sampled.arrays)
        if found["wrong"] is not None and is_by_chance(path):
            found |= {"outcome": "by chance", "wrong": None}
    return found


def is_by_chance(path: Path) -> bool:
    """Whether FFmpeg's decoder shows what an earlier frame left in memory, as VP8's does where it meets damage.

    Nobody can say then what the right frames are. It is found by holding all frames, so that each gets fresh memory.
    """
    shown = [[pixels_HWC for _, pixels_HWC in frames_in_order(path, held)] for held in (None, [])]
    return len(shown[0]) != len(shown[1]) or not all(map(np.array_equal, *shown))


def difference(path: Path, arrays: dict[str, NDArray[Any]]) -> str | None:
    """How sampled frames differ from those that PyAV gives in order; None if they do not.

    The k-th frame that a decoder gives is the k-th that is shown, even where its time was guessed and is another's.
    Where PyAV gives fewer frames, because damage that no sampled frame met cost some, frames are found by their times.
    """
    in_order = frames_in_order(path)
    times_F = np.sort([seconds for seconds, _ in in_order])
    num_frames, numbers_S, times_S = arrays["num_frames"][0], arrays["number"], arrays["time"]
    if len(in_order) > num_frames or len(in_order) == 0:
        return f"{num_frames} frames, PyAV gives {len(in_order)}"
    since_first_F, since_first_S = times_F - times_F[0], times_S - times_S[0]
    if len(in_order) < num_frames:
        numbers_S = np.abs(since_first_F[:, None] - since_first_S).argmin(axis=0)
    height, width = arrays["size"][0].tolist()
    pixels_SHWC = arrays["pixels"].reshape(-1, height, width, 3)
    for number, seconds, pixels_HWC in zip(numbers_S.tolist(), since_first_S, pixels_SHWC, strict=True):
        if abs(seconds - since_first_F[number]) > (GUESSED_TIME if path.suffix == ".mpg" else SAME_TIME):
            return f"frame {number} after {seconds:.3f} s, by PyAV after {since_first_F[number]:.3f} s"
        shown_HWC = in_order[number][1]
        if shown_HWC.shape == pixels_HWC.shape and np.abs(pixels_HWC.astype(int) - shown_HWC).mean() > MEAN_TOLERANCE:
            return f"frame {number} is another picture than PyAV's"
    return None


def frames_in_order(path: Path, held: list[Any] | None = None) -> list[tuple[float, NDArray[np.uint8]]]:
    """All frames with their times, as PyAV decodes them from first to last; turned as the file says.

    Args:
        path: The file.
        held: Keeps PyAV's own frames, if there is such a list.
    """
    orientation = first_orientation(path)
    shown = []
    for frames in decoded(path):
        for frame in frames:
            pixels_HWC = orientation.upright(frame.to_ndarray(format="rgb24"))
            shown.append((frame.time or 0.0, pixels_HWC))
        if held is not None:
            held += frames
        frame = frames = None  # they give their memory back
    return shown


def first_orientation(path: Path) -> Orientation:
    """How the file says that its first frame is shown. No other is asked, because one that was stays in memory."""
    return next((orientation_of(frames[0]) for frames in decoded(path) if frames), AS_STORED)


def decoded(path: Path) -> Iterator[list[av.VideoFrame]]:
    """The frames that each packet completes; none where PyAV raises an error."""
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.best("video")
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            yield frames
            del frames
