"""Read frames with decord (https://github.com/dmlc/decord; `decord2` on PyPI), of files that suit it.

`video.decoding` finds out which frames a file has. decord reads none of them where its count or its times differ, and
whatever FFmpeg prints while decord reads is reported, so that the frames are read again by PyAV. decord decodes ahead
as far as the file goes (its issues 157 and 208; 3.6 GB on 200 frames of 4K), so it is given only files whose frames
would all fit into memory.

Shapes: F frames, H height, W width, C colour.
"""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.video.faults import is_of_sound
from pipeline.video.opening import location_of

MAX_BYTES = 2**27  # of all frames of a file in RGB, as they are given out: 450 frames of 320 x 240 have 104 million
CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi"}  # those with an index; in others decord gets lost
TIME_TOLERANCE = 1e-3  # seconds
# From the first frame to the last: decord's times have 24 bits, and it ends the process where a clock jumps by decades.
MAX_SECONDS = 2**14
MEAN_TOLERANCE, TOLERANCE = 2.0, 24  # levels of 255 between two builds of FFmpeg; the next frame differs by far more
CHATTER = {b"in", b"swscaler"}  # remarks on some codecs by what converts colours, whatever the file
SPEAKER = re.compile(rb"\[([^]@]+) @ ")  # how FFmpeg begins a line

Frame = NDArray[np.uint8]


@dataclass
class Complaints:
    """Whether anything was printed on stderr.

    Attributes:
        heard: Whether anything was, what `CHATTER` and sound say aside; it is set when listening is over.
    """

    heard: bool = False


def suits(container: str, num_frames: int, size_hw: tuple[int, int]) -> bool:
    """Whether decord should read a file of this container (by FFmpeg's name), number of frames and frame size."""
    height, width = size_hw
    return container in CONTAINERS and num_frames * height * width * 3 <= MAX_BYTES


def sought_keys(numbers: Sequence[int], key_F: NDArray[np.int64]) -> list[int]:
    """Numbers of the key frames that decord seeks when it reads frames one after another.

    It goes on from the frame after the last one that it gave, and seeks where that belongs to another key frame.

    Args:
        numbers: Frame numbers, ascending.
        key_F: For each frame of the file, the number of the key frame from which it is decoded.
    """
    wanted = np.asarray(numbers)
    reached = np.minimum(np.concatenate([[0], wanted[:-1] + 1]), wanted)
    return [int(key) for key in np.unique(key_F[wanted][key_F[wanted] != key_F[reached]])]


def read_with_decord(
    path: Path,
    numbers: Sequence[int],
    key_F: NDArray[np.int64],
    size_hw: tuple[int, int],
    is_scaled: bool,
    times_F: NDArray[np.float64],
    keep: Callable[[int, Frame], None],
) -> tuple[bool, bool]:
    """Decode frames with decord and hand them to `keep`.

    Args:
        path: The file.
        numbers: Frame numbers, ascending.
        key_F: For each frame of the file, the number of the key frame from which it is decoded.
        size_hw: Height and width of the frames.
        is_scaled: Whether this is not the video's own size.
        times_F: Presentation times that the file's frames are known to have, in seconds.
        keep: Takes the place in `numbers` and the frame, RGB u1 `[H, W, C]`.

    Returns:
        Whether all frames were read (False if decord cannot, or sees other frames in the file, or frames of another
        size); and whether decord or FFmpeg complained.
    """
    if times_F[-1] - times_F[0] > MAX_SECONDS:
        return False, False
    decord = _load()
    height, width = size_hw if is_scaled else (-1, -1)
    with _listening() as complaints:
        try:
            # fault_tol: raise at the first frame that it would replace by a copy of another
            reader = decord.VideoReader(
                location_of(path), ctx=decord.cpu(0), width=width, height=height, num_threads=1, fault_tol=1e-9
            )
            all_read = _has_times(reader, times_F) and _has_keys(reader, numbers, key_F)
            for row, number in enumerate(numbers if all_read else []):
                frame_HWC = _without_padding(reader[number].asnumpy())
                all_read = frame_HWC.shape[:2] == size_hw
                if not all_read:
                    break
                keep(row, frame_HWC)
            del reader  # ends its thread
        except (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, AssertionError, StopIteration):
            all_read = False  # what its constructor and its frames raise
    return all_read, complaints.heard


def _load() -> ModuleType:
    """Import decord without the CUDA libraries, which it would load (600 MB a process) and never use here."""
    if "decord" not in sys.modules:
        hidden = "nvidia" not in sys.modules
        if hidden:
            sys.modules["nvidia"] = None  # type: ignore[assignment]
        try:
            import decord

            decord.logging.set_level(decord.logging.INFO)  # it tells of patched pictures at this level
        finally:
            if hidden:
                del sys.modules["nvidia"]
    return sys.modules["decord"]


def _has_times(reader: Any, times_F: NDArray[np.float64]) -> bool:
    """Whether decord sees frames at the same times, counted perhaps from another point."""
    if len(reader) != len(times_F):
        return False
    seen_F = np.asarray(reader.get_frame_timestamp(range(len(reader)))[:, 0], dtype=np.float64)
    return bool(np.ptp(seen_F - times_F) < TIME_TOLERANCE)


def _has_keys(reader: Any, numbers: Sequence[int], key_F: NDArray[np.int64]) -> bool:
    """Whether decord would decode each frame from the key frame that is foretold."""
    seen = np.concatenate([[0], np.asarray(reader.get_key_indices(), dtype=np.int64)])
    return np.array_equal(seen[np.searchsorted(seen, numbers, side="right") - 1], key_F[list(numbers)])


def are_alike(frame_HWC: Frame, other_HWC: Frame | None) -> bool:
    """Whether two readers show the same picture, up to what their builds of FFmpeg make of its colours."""
    if other_HWC is None or frame_HWC.shape != other_HWC.shape:
        return False
    difference = np.abs(frame_HWC.astype(np.int16) - other_HWC)
    return float(difference.mean()) < MEAN_TOLERANCE and int(difference.max()) <= TOLERANCE


def _without_padding(frame_HWC: Frame) -> Frame:
    """Undo decord's mistake with narrow frames (its issue 336).

    FFmpeg pads the rows of a frame to a round number of bytes. decord takes bytes a row // width for the number of
    channels, so that a frame 96 pixels wide has rows of 384 bytes and "4 channels"; the colours are the first
    3 * width bytes of each row.
    """
    height, width, channels = frame_HWC.shape
    if channels == 3:
        return frame_HWC
    return frame_HWC.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)


@contextmanager
def _listening() -> Iterator[Complaints]:
    """Catch what this process prints on stderr within the context; FFmpeg's C code prints there."""
    complaints = Complaints()
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as taken:
        os.dup2(taken.fileno(), 2)
        try:
            yield complaints
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            taken.seek(0)
            complaints.heard = any(map(_is_complaint, taken))


def _is_complaint(line: bytes) -> bool:
    """Whether a line on stderr may be about the frames: not if sound or a conversion of colours speaks."""
    speaker = SPEAKER.match(line)
    return speaker is None or not (speaker[1] in CHATTER or is_of_sound(speaker[1].decode(errors="replace")))
