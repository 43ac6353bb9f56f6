"""Open videos and read single frames of them, with PyAV (FFmpeg) and, where it gives the same frames, decord.

A file is read twice: first its packets, without decoding, which tell when every frame is shown and where decoding can
start; then the frames that are asked for, from the nearest key frame on. What the packets told is remembered until
another file is opened, for the next clip of a long file. Sound files whose frames would all fit into
little memory are left to decord (`decord_reading` says why no others are). PyAV reads the rest and holds no more than
one decoded frame, however long the video is.

The packets of some files do not tell which frames there are (MPEG program streams, AVI with B-frames: packets without
times; fields or hidden frames in packets of their own). Those are decoded from the start, each time.
Either way frames are numbered from 0 in the order of presentation.

Shapes: F frames, H height, W width, C colour (red, green, blue).
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.jobs.storage import why_no_file
from pipeline.video.decord_reading import read_with_decord, suits
from pipeline.video.faults import Faults
from pipeline.video.last_file import LastFile, stamp_of
from pipeline.video.orientation import orientation_of
from pipeline.video.video_stream import open_stream

NUM_PROBED = 3  # first frames, whose times the packets must have told
WORTH_A_SEEK = 4  # frames to skip; fewer are decoded faster than a decoder starts anew
# What `Video` finds out about a file when it opens it.
FOUND = (
    "pts_F",
    "times_F",
    "key_F",
    "in_order",
    "has_closed_groups",
    "first",
    "is_interlaced",
    "is_turned",
    "size_hw",
)

Keep = Callable[[int, NDArray[np.uint8] | None], None]  # takes a row and its frame, or None for that of the row before

_last = LastFile[dict[str, Any]]()


class Video:
    """An open video, made by `open_video`. `len()` is the number of its frames.

    Leaving its context closes the file.

    Attributes:
        size_hw: Height and width of a frame, upright as the file says it is shown.
        times_F: Presentation time of every frame in seconds.
        key_F: Number of the key frame from which each frame is decoded.
        faults: Collects what looks damaged in the file, as far as it was read.
    """

    times_F: NDArray[np.float64]
    key_F: NDArray[np.int64]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults = Faults()
        self.container, self.stream = open_stream(path, self.faults)
        self.reformatter = VideoReformatter()
        self.first: tuple[int, int] | None = None  # byte position and decoding time of the first packet
        self.was_sound = True  # whether no fault was found before `judge_from_here`
        stamp = stamp_of(path)
        if (known := _last.recall(stamp)) is not None:
            vars(self).update(known, faults=copy(known["faults"]))
            return
        try:
            self._look()
        except VideoError:
            self.container.close()
            raise
        found = {name: getattr(self, name) for name in FOUND}
        _last.keep(stamp, found | {"faults": copy(self.faults)})

    def __len__(self) -> int:
        return len(self.times_F)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.container.close()

    def judge_from_here(self) -> None:
        """Forget the faults found so far, so that an interval is judged only by what is decoded for its frames."""
        self.was_sound = self.faults.reason() is None
        self.faults = Faults()

    def _look(self) -> None:
        """Find out which frames there are, and whether they must be decoded in order to be counted."""
        self.pts_F, key_pts = self._index_packets()
        probed = self._probe()
        self.in_order: bool = len(self.pts_F) == 0 or probed != self.pts_F[: len(probed)].tolist()
        if self.in_order:
            # Sorted, because a decoder gives the frames in order but not the times it has guessed.
            self.times_F = np.sort(np.fromiter(self._times(), dtype=np.float64))
            self.key_F = np.zeros(len(self), dtype=np.int64)
        else:
            self.times_F = (self.pts_F * float(self.stream.time_base or 0)).astype(np.float64)
            keys = np.searchsorted(self.pts_F, key_pts)
            self.key_F = np.concatenate([[0], keys])[np.searchsorted(keys, np.arange(len(self)), side="right")]

    def read(self, numbers: Sequence[int], size_hw: tuple[int, int], keep: Keep, stand_ins: bool) -> None:
        """Hand frames to `keep`; the numbers ascend, each once. decord reads the files that it can be trusted with."""
        all_read = complained = False
        if self._is_plain() and suits(self.container.format.name, len(self), size_hw):
            is_scaled = size_hw != self.size_hw
            all_read, complained = read_with_decord(self.path, numbers, size_hw, is_scaled, self.times_F, keep)
            if all_read and not complained:
                return
        self._read(numbers, size_hw, keep, stand_ins)
        if all_read and self.faults.reason() is None:
            # decord runs ahead by chance and may have complained of later frames: chance must not choose the reader.
            read_with_decord(self.path, numbers, size_hw, is_scaled, self.times_F, keep)

    def _read(self, numbers: Sequence[int], size_hw: tuple[int, int], keep: Keep, stand_ins: bool) -> None:
        for row, (number, frame) in enumerate(zip(numbers, self._found(numbers), strict=True)):
            if frame is None and (row == 0 or not stand_ins):
                raise VideoError(f"frame {number} of {len(self)} cannot be decoded: the file is damaged or cut off")
            keep(row, None if frame is None else self._upright_rgb(frame, size_hw))

    def _is_plain(self) -> bool:
        """Whether decord gives the right frames of this file.

        It does not after a seek to a key frame that is followed in the file by frames shown before it. It turns frames
        by whole quarters only, cuts off the digits of others, and never mirrors.
        """
        sound = self.was_sound and self.faults.reason() is None
        return sound and not (self.in_order or self.is_interlaced or self.is_turned) and self.has_closed_groups

    def _found(self, numbers: Sequence[int]) -> Iterator[VideoFrame | None]:
        """Decode the frames of these numbers; None stands for one that the decoder does not give."""
        run = self._run(0)
        for number in numbers:
            key = int(self.key_F[number])
            if key > run.last + WORTH_A_SEEK:
                before = copy(self.faults)
                run = self._run(key)
                if run.frame(key) is None:
                    # Not every frame that a file calls a key frame is one that decoding can start at.
                    self.faults, self.key_F = before, np.zeros_like(self.key_F)
                    run = self._run(0)
            yield run.frame(number)

    def _run(self, key: int) -> "Run":
        key_pts = int(self.pts_F[key]) if key > 0 else None
        return Run(self._decoded(key_pts), key, None if self.in_order else self.pts_F, self.faults)

    def _index_packets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Read the times of all frames (none if the packets do not tell) and of key frames, in the stream's unit."""
        pts: list[int] = []
        keys: list[int] = []
        num_packets, told, cut = 0, True, False
        self.has_closed_groups = True  # no frame after a key frame is shown before it
        self.faults.expect(self.path, self.container, self.stream)
        for packet in self.faults.packets(self.container, self.stream):
            if packet.size == 0:  # the end
                continue
            if num_packets == 0 and packet.pos is not None and packet.dts is not None:
                self.first = (packet.pos, packet.dts)
            num_packets += 1
            cut = packet.is_corrupt
            if packet.pts is None:
                told = False
            elif not packet.is_discard and not _is_hidden(packet, self.stream.codec_context.name):
                pts.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
                self.has_closed_groups &= not keys or packet.pts >= keys[-1]
        if cut and pts:  # the file ends within the last packet
            num_packets -= 1
            keys = keys[: len(keys) - (keys[-1:] == pts[-1:])]
            pts.pop()
        self.faults.count(num_packets, pts, self.container.format.name)
        pts_F = np.unique(np.array(pts, dtype=np.int64))
        if not told or len(pts_F) < len(pts):
            pts_F = pts_F[:0]
        return pts_F, np.unique(np.array(keys, dtype=np.int64))

    def _probe(self) -> list[int | None]:
        """Decode the first frames for their times; note their size, and whether they are interlaced."""
        probed: list[int | None] = []
        for frame in self._decoded(None):
            if not probed:
                self.is_interlaced = frame.interlaced_frame
                self.is_turned = frame.side_data.get("DISPLAYMATRIX") is not None
                self.size_hw = orientation_of(frame).upright_hw(frame.height, frame.width)
            probed.append(frame.pts)
            if len(probed) == NUM_PROBED:
                break
        if not probed:
            raise VideoError(f"no video frame in it{self.faults.because()}")
        return probed

    def _times(self) -> Iterator[float]:
        for frame in self._decoded(None):
            if frame.time is None:
                raise VideoError("its frames have no time stamps: convert it, for instance to .mp4")
            yield frame.time

    def _decoded(self, key_pts: int | None) -> Iterator[VideoFrame]:
        """Decode frames in the order of presentation, from a key frame on or from the start."""
        for packet in self._packets_from(key_pts):
            for frame in self.faults.decode(packet):
                if key_pts is None or (frame.pts is not None and frame.pts >= key_pts):
                    yield frame

    def _packets_from(self, key_pts: int | None) -> Iterator["av.Packet[VideoStream]"]:
        if key_pts is not None and self._seek(key_pts):
            found = False
            for packet in self.faults.packets(self.container, self.stream):
                found = found or packet.pts == key_pts
                # Frames shown before the key frame may come after it, and need what was before it.
                if found and (packet.pts is None or packet.pts >= key_pts):
                    yield packet
            if found:
                return
        yield from self._all_packets()

    def _all_packets(self) -> Iterator["av.Packet[VideoStream]"]:
        if self.first is not None and self._seek(self.first[1]):
            packets = self.faults.packets(self.container, self.stream)
            packet = next(packets, None)
            if packet is not None and (packet.pos, packet.dts) == self.first:
                yield packet
                yield from packets
                return
        # Not every demuxer finds the first packet again.
        self.container.close()
        self.container, self.stream = open_stream(self.path, self.faults)
        yield from self.faults.packets(self.container, self.stream)

    def _seek(self, time: int) -> bool:
        """Go to a time or before it, in the stream's unit; False if the demuxer cannot."""
        try:
            self.container.seek(time, stream=self.stream)
        except av.FFmpegError:
            return False
        return True

    def _upright_rgb(self, frame: VideoFrame, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        """Convert a frame to RGB, upright as the file says it is shown, and scaled."""
        shown = orientation_of(frame)
        height, width = shown.upright_hw(*size_hw)
        scaled = None if (height, width) == (frame.height, frame.width) else "BICUBIC"
        try:
            rgb = self.reformatter.reformat(frame, width, height, "rgb24", interpolation=scaled, threads=1)
        except av.FFmpegError as error:  # each frame says how its colours are stored
            raise VideoError(
                f"the colours of a frame cannot be converted ({error.strerror}): the file is damaged, or of a rare kind"
            ) from error
        return shown.upright(cast("NDArray[np.uint8]", rgb.to_ndarray()))


class Run:
    """A run of frames that are decoded one after another, from a key frame on.

    Args:
        decoded: The frames, in the order of presentation.
        key: Number of the first one.
        pts_F: Times of all the video's frames, in the stream's unit; None where frames are numbered by counting.
        faults: Collects the number of frames that the decoder does not give.
    """

    def __init__(
        self, decoded: Iterator[VideoFrame], key: int, pts_F: NDArray[np.int64] | None, faults: Faults
    ) -> None:
        self.decoded = decoded
        self.last = key - 1  # number of the last frame that came
        self.pts_F = pts_F
        self.faults = faults
        self.came: VideoFrame | None = None

    def frame(self, number: int) -> VideoFrame | None:
        """Decode up to the frame of this number; None if it does not come. Numbers must not descend between calls."""
        while self.last < number:
            before = self.last
            self.came = next(self.decoded, None)
            if self.came is None:
                self.last = number
            else:
                self.last = self._number(self.came)
            self.faults.num_lost += max(0, self.last - before - (self.came is not None))
        return self.came if self.last == number else None

    def _number(self, frame: VideoFrame) -> int:
        if self.pts_F is None:
            return self.last + 1
        number = int(np.searchsorted(self.pts_F, frame.pts or 0))
        foretold = number < len(self.pts_F) and self.pts_F[number] == frame.pts
        return max(number, self.last) if foretold else self.last


def open_video(path: Path) -> Video:
    """Open a video, to be decoded by one thread.

    Args:
        path: A file in any container and codec that FFmpeg reads.

    Raises:
        VideoError: if there is no such file, or no video frame in it. The message does not name the file, because it
            becomes part of an artifact, where no machine's paths belong.
    """
    if (why := why_no_file(path)) is not None:
        raise VideoError(why)
    if path.stat().st_size == 0:
        raise VideoError("the file is empty (0 bytes)")
    return Video(path)


def frame_times(video: Video) -> NDArray[np.float64]:
    """Presentation time of every frame in seconds, ascending, `[F]`.

    The first is not always 0, and the distances differ where the frame rate varies.
    """
    return video.times_F


def read_frames(
    video: Video,
    numbers: Sequence[int] | NDArray[Any],
    size_hw: tuple[int, int] | None = None,
    fit: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    stand_ins: bool = False,
) -> NDArray[np.uint8]:
    """Decode single frames, in any order. Besides the result, PyAV holds one frame at a time in memory.

    Args:
        video: Video that `open_video` opened.
        numbers: F frame numbers from 0, F >= 1.
        size_hw: Height and width that frames are scaled to (bicubic); None for the video's own.
        fit: Function that is applied to each frame, RGB `[H, W, 3]`; its results have one shape.
        stand_ins: Whether the frame shown before it takes the place of a frame that is lost, as in players.

    Returns:
        RGB, u1 `[F, H, W, 3]`, of the size that `fit` gives.

    Raises:
        VideoError: if a frame cannot be decoded (the file is damaged or cut off).
        IndexError: if there are no numbers, or one that the video does not have.
    """
    wanted, rows_F = np.unique(np.asarray(numbers, dtype=np.int64), return_inverse=True)
    if len(wanted) == 0 or not 0 <= wanted[0] <= wanted[-1] < len(video):
        raise IndexError(f"frame numbers {wanted.tolist()} of a video of {len(video)} frames")
    found: list[NDArray[np.uint8]] = []  # one array, made when the first frame tells its shape

    def keep(row: int, frame_HWC: NDArray[np.uint8] | None) -> None:
        if frame_HWC is None:
            found[0][row] = found[0][row - 1]
            return
        fitted = fit(frame_HWC) if fit else frame_HWC
        if not found:
            found.append(np.empty((len(wanted), *fitted.shape), dtype=np.uint8))
        found[0][row] = fitted

    video.read(wanted.tolist(), size_hw or video.size_hw, keep, stand_ins)
    return found[0] if np.array_equal(rows_F, np.arange(len(wanted))) else found[0][rows_F]


def _is_hidden(packet: "av.Packet[av.VideoStream]", codec: str) -> bool:
    """Whether a packet holds a frame that is never shown: VP8 gives those packets of their own (RFC 6386, 9.1)."""
    return codec == "vp8" and not memoryview(packet)[0] & 0x10
