"""Opening videos and reading single frames of them.

decord (https://github.com/dmlc/decord; `decord2` on PyPI) seeks, so that a frame costs little wherever it stands. It is
wrong about files whose packets carry no presentation times (MPEG program streams, AVI with B-frames: times of -1e14,
and the wrong frame after a seek) and gives up on short MPEG transport streams. Those are read in order with PyAV.
Either way frames are numbered from 0 in the order of presentation.

Shape suffixes: F frames, H height, W width, C colour (red, green, blue).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import decord
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError

LONGEST = 1e9  # seconds; what decord makes of a missing time stamp is far beyond

# FFmpeg would print a line for every packet it dislikes. What stops us is raised instead.
decord.logging.set_level(decord.logging.QUIET)


class Video:
    """An open video; made by `open_video`. `len()` is the number of its frames."""

    def __init__(self, path: Path, size_hw: tuple[int, int] | None) -> None:
        self.path = path
        self.size_hw = size_hw
        self.seeking = _open_with_decord(path, size_hw)  # None: its frames are read in order
        self.times_F = _times_of_decord(self.seeking) if self.seeking is not None else np.empty(0)
        if not _is_credible(self.times_F):
            self.seeking = None
            # Sorted, because a decoder gives the frames in order but not the times it has guessed.
            self.times_F = np.sort([frame.time for frame in _decode_in_order(path)])

    def __len__(self) -> int:
        return len(self.times_F)


def open_video(path: Path, size_hw: tuple[int, int] | None = None) -> Video:
    """Open a video; one decoding thread.

    Args:
        path: A file in any container and codec that FFmpeg reads.
        size_hw: Height and width that frames are scaled to (bicubic); None for the video's own.

    Raises:
        VideoError: if there is no such file, or no video frame in it. Says why and leaves the name to the caller: the
            reason becomes part of an artifact, where no machine's paths belong.
    """
    if not path.is_file():
        raise VideoError("there is no such file")
    if path.stat().st_size == 0:
        raise VideoError("the file is empty (0 bytes)")
    return Video(path, size_hw)


def frame_times(video: Video) -> NDArray[np.float64]:
    """Presentation time of every frame in seconds, ascending, `[F]`.

    The first is not always 0, and the distances differ where the frame rate varies.
    """
    return video.times_F


def read_frames(video: Video, numbers: Sequence[int] | NDArray[Any]) -> NDArray[np.uint8]:
    """Decode single frames.

    Sorted numbers are fastest: a frame is then reached from the one before it or from the nearest key frame, and only
    the frames asked for are kept in memory.

    Args:
        video: From `open_video`.
        numbers: F frame numbers from 0, F >= 1.

    Returns:
        RGB, `[F, H, W, 3]`.

    Raises:
        VideoError: if one of them cannot be decoded (the file is damaged or cut off).
    """
    wanted = [int(number) for number in numbers]
    if not wanted or not 0 <= min(wanted) <= max(wanted) < len(video):
        raise IndexError(f"frame numbers {wanted} of a video of {len(video)} frames")
    if video.seeking is not None:
        try:
            return np.stack([_without_padding(video.seeking[number].asnumpy()) for number in wanted])
        except (decord.DECORDError, decord.DECORDLimitReachedError, StopIteration):
            video.seeking = None
    frames_HWC: dict[int, NDArray[np.uint8]] = {}
    for number, frame in enumerate(_decode_in_order(video.path)):
        if number in wanted:
            frames_HWC[number] = _upright_rgb(frame, video.size_hw)
        if number == max(wanted):
            return np.stack([frames_HWC[number] for number in wanted])
    raise VideoError(f"frame {max(wanted)} of {len(video)} cannot be decoded: the file is damaged or cut off")


def _open_with_decord(path: Path, size_hw: tuple[int, int] | None) -> decord.VideoReader | None:
    height, width = size_hw or (-1, -1)
    try:
        # fault_tol: raise at the first frame that it would replace by a copy of another
        return decord.VideoReader(
            str(path), ctx=decord.cpu(0), width=width, height=height, num_threads=1, fault_tol=1e-9
        )
    except (decord.DECORDError, RuntimeError, AssertionError):  # the three that its constructor raises
        return None


def _times_of_decord(reader: decord.VideoReader) -> NDArray[np.float64]:
    return np.asarray(reader.get_frame_timestamp(range(len(reader)))[:, 0], dtype=np.float64)


def _is_credible(times_F: NDArray[np.float64]) -> bool:
    return len(times_F) > 0 and bool((np.abs(times_F) < LONGEST).all() and (np.diff(times_F) > 0).all())


def _without_padding(frame_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo decord's mistake with narrow frames (its issue 336).

    FFmpeg pads the rows of a frame to a round number of bytes. decord takes bytes a row // width for the number of
    channels, so that a frame 96 pixels wide has rows of 384 bytes and "4 channels"; the colours are the first
    3 * width bytes of each row.
    """
    height, width, channels = frame_HWC.shape
    if channels == 3:
        return frame_HWC
    return frame_HWC.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)


def _decode_in_order(path: Path) -> Iterator[av.VideoFrame]:
    """All the frames, in order of presentation.

    Raises:
        VideoError: if there is none, or one cannot be decoded; says which case it is.
    """
    try:
        container = av.open(str(path))
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(_why_unreadable(path)) from error
    with container:
        if not container.streams.video:
            kinds = sorted({stream.type for stream in container.streams})
            raise VideoError(f"no video in it, {' and '.join(kinds) or 'nothing'} only")
        container.streams.video[0].codec_context.thread_count = 1
        number = -1
        try:
            for number, frame in enumerate(container.decode(video=0)):  # noqa: B007
                if frame.time is None:
                    raise VideoError("its frames have no time stamps: convert it, for instance to .mp4")
                yield frame
        except av.FFmpegError as error:
            raise VideoError(f"frame {number + 1} cannot be decoded: the file is damaged or cut off") from error
    if number < 0:
        raise VideoError("no video frame in it")


def _upright_rgb(frame: av.VideoFrame, size_hw: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Colours of a frame, turned as the file says it was filmed and scaled."""
    quarter_turns = frame.rotation // 90 % 4
    if size_hw is not None:
        height, width = size_hw if quarter_turns % 2 == 0 else size_hw[::-1]
        frame = frame.reformat(width=width, height=height, interpolation="BICUBIC")
    return np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns)


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:] == b"ftyp" or head[:4] in (b"RIFF", b"\x1a\x45\xdf\xa3"):  # MP4 and MOV; AVI; Matroska and WebM
        return "cut off or damaged: it begins as a video file does, but its index cannot be read"
    return "not a video file"
