"""Open videos and read single frames of them, with PyAV (FFmpeg) and, where it gives the same frames, decord.

A file is read twice: first its packets, without decoding, which tell when every frame is shown and where decoding can
start; then the frames that are asked for, from the nearest key frame on, or from the start where that is none. What
the packets told is remembered until another file is opened, for the next clip of a long file. Sound files whose frames
would all fit into little memory and whose key frames are true are left to decord (`decord_reading` says why no others
are). PyAV reads the rest and holds no more than one decoded frame, however long the video is.

The packets of some files do not tell which frames there are (MPEG program streams, AVI with B-frames: packets without
times; fields or hidden frames in packets of their own), or tell it wrongly (joined files). Those are decoded from the
start, each time. Either way frames are numbered from 0 in the order of presentation.

Shapes: F frames, H height, W width, C colour (red, green, blue).
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self, cast

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.jobs.storage import why_no_file
from pipeline.video.clock import counted_on
from pipeline.video.decord_reading import are_alike, read_with_decord, sought_keys, suits
from pipeline.video.faults import Faults
from pipeline.video.frame_run import FrameRun, decodes_alone
from pipeline.video.last_file import LastFile, stamp_of
from pipeline.video.orientation import orientation_of
from pipeline.video.packet_index import PacketIndex, index_packets
from pipeline.video.packets import Packets

NUM_PROBED = 3  # first frames, whose times the packets must have told
WORTH_A_SEEK = 4  # frames to skip; fewer are decoded faster than a decoder starts anew
# What `Video` finds out about a file when it opens it.
FOUND = ("index", "pts_F", "times_F", "key_F", "true_keys", "shown", "size_hw", "is_plain")

Keep = Callable[[int, NDArray[np.uint8] | None], None]  # takes a row and its frame, or None for that of the row before

_last = LastFile[dict[str, Any]]()


class Video:
    """An open video, made by `open_video`. `len()` is the number of its frames.

    Leaving its context closes the file.

    Attributes:
        size_hw: Height and width of a frame, upright as the file says it is shown.
        times_F: Presentation time of every frame in seconds.
        pts_F: The same in the stream's unit; none where frames must be decoded in order to be counted.
        key_F: Number of the key frame from which each frame is decoded.
        faults: Collects what looks damaged in the file, as far as it was read.
    """

    times_F: NDArray[np.float64]
    pts_F: NDArray[np.int64]
    key_F: NDArray[np.int64]
    index: PacketIndex

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults = Faults()
        self.packets = Packets(path, self.faults)
        self.reformatter = VideoReformatter()
        self.was_sound = True  # whether no fault was found before `judge_from_here`
        stamp = stamp_of(path)
        if (known := _last.recall(stamp)) is not None:
            vars(self).update(known, faults=copy(known["faults"]))
            self._use(self.index)
            return
        try:
            self._look()
        except VideoError:
            self.packets.close()
            raise
        found = {name: getattr(self, name) for name in FOUND}
        _last.keep(stamp, found | {"faults": copy(self.faults)})

    def __len__(self) -> int:
        return len(self.times_F)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.packets.close()

    @property
    def container(self) -> InputContainer:
        """The file, as far as it was read."""
        return self.packets.container

    @property
    def stream(self) -> VideoStream:
        """The stream that is the file's video."""
        return self.packets.stream

    def judge_from_here(self) -> None:
        """Forget the faults found so far, so that an interval is judged only by what is decoded for its frames."""
        self.was_sound = self.faults.reason() is None
        num_joins = self.faults.num_joins  # all times behind the first join are counted on
        self.faults = Faults(self.stream.index)
        self.faults.num_joins = num_joins

    def _use(self, index: PacketIndex) -> None:
        self.packets.first = index.first
        self.packets.needs_first = index.num_palettes > 0
        self.packets.reopens = index.num_palettes > 1 or index.falls_back

    def _look(self) -> None:
        """Find out which frames there are, and whether they must be decoded in order to be counted."""
        self.faults.expect(self.path, self.container, self.stream)
        self.index = index_packets(self.packets, self.faults)
        self._use(self.index)
        self.pts_F = self.index.pts_F
        probed = self._probe()
        self.true_keys: dict[int, bool] = {0: True}  # whether decoding can start at a key frame, as far as was tried
        is_told = len(self.pts_F) > 0 and probed == self.pts_F[: len(probed)].tolist()
        if self.index.falls_back:
            self.times_F, self.faults.num_joins = counted_on(np.fromiter(self._times(), dtype=np.float64))
        elif not is_told:
            # Sorted, because a decoder gives the frames in order but not the times that were guessed.
            self.times_F = np.sort(np.fromiter(self._times(), dtype=np.float64))
        if not is_told or self.faults.num_joins:
            self.pts_F, self.key_F = self.pts_F[:0], np.zeros(len(self), dtype=np.int64)
        else:
            self.times_F = (self.pts_F * float(self.stream.time_base or 0)).astype(np.float64)
            keys = np.searchsorted(self.pts_F, self.index.key_pts)
            self.key_F = np.concatenate([[0], keys])[np.searchsorted(keys, np.arange(len(self)), side="right")]

    def read(self, numbers: Sequence[int], size_hw: tuple[int, int], keep: Keep, stand_ins: bool) -> None:
        """Hand frames to `keep`; the numbers ascend, each once. decord reads the files that it can be trusted with."""
        if not self._suits_decord(numbers, size_hw):
            self._read(numbers, size_hw, keep, stand_ins)
            return
        request = (self.path, numbers, self.key_F, size_hw, size_hw != self.size_hw, self.times_F)
        all_read, complained = read_with_decord(*request, keep)
        if all_read and not complained:
            return
        seen: list[NDArray[np.uint8] | None] = []

        def keep_and_see(row: int, frame_HWC: NDArray[np.uint8] | None) -> None:
            keep(row, frame_HWC)
            if all_read:
                seen.append(frame_HWC)

        self._read(numbers, size_hw, keep_and_see, stand_ins)
        if all_read and self.faults.reason() is None:
            # decord runs ahead by chance and may have complained of later frames: chance must not choose the reader.
            again: list[NDArray[np.uint8]] = []
            read_with_decord(*request, lambda _, frame_HWC: again.append(frame_HWC))
            if len(again) == len(seen) and all(map(are_alike, again, seen)):
                for row, frame_HWC in enumerate(again):
                    keep(row, frame_HWC)

    def _read(self, numbers: Sequence[int], size_hw: tuple[int, int], keep: Keep, stand_ins: bool) -> None:
        for row, (number, frame) in enumerate(zip(numbers, self._found(numbers), strict=True)):
            if frame is None and (row == 0 or not stand_ins):
                raise VideoError(f"frame {number} of {len(self)} cannot be decoded: the file is damaged or cut off")
            keep(row, None if frame is None else self._upright_rgb(frame, size_hw))

    def _suits_decord(self, numbers: Sequence[int], size_hw: tuple[int, int]) -> bool:
        """Whether decord gives the right frames of this file.

        It counts from the key frame that it seeks, and does so wrongly if that is followed in the file by frames shown
        before it, or is none. It turns frames by whole quarters only, cuts off the digits of others, and never mirrors.
        It loses the palette that comes with the first packet.
        """
        plain = self.is_plain and len(self.pts_F) > 0 and self.was_sound and self.faults.reason() is None
        if not plain or not suits(self.container.format.name, len(self), size_hw):
            return False
        for key in sought_keys(numbers, self.key_F):
            if key not in self.true_keys:
                self.true_keys[key] = decodes_alone(self.packets, int(self.pts_F[key]))
            if not self.true_keys[key]:
                return False
        return True

    def _found(self, numbers: Sequence[int]) -> Iterator[VideoFrame | None]:
        """Decode the frames of these numbers; None stands for one that the decoder does not give."""
        run = self._run(0)
        for number in numbers:
            key = int(self.key_F[number])
            if key > run.last + WORTH_A_SEEK:
                before = copy(self.faults)
                run = self._run(key)
                start = run.frame(key)
                if start is None or not start.key_frame:
                    # Not every frame that a file calls a key frame is one that decoding can start at.
                    self.faults, self.key_F = before, np.zeros_like(self.key_F)
                    run = self._run(0)
            yield run.frame(number)

    def _run(self, key: int) -> FrameRun:
        key_pts = int(self.pts_F[key]) if key > 0 else None
        return FrameRun(self._decoded(key_pts), key, self.pts_F if len(self.pts_F) else None, self.faults)

    def _probe(self) -> list[int | None]:
        """Decode the first frames for their times; note their size, and whether they are plain."""
        probed: list[int | None] = []
        for num_before, packet in enumerate(self.packets.all(self.faults)):
            frames = self.faults.decode(packet)
            if frames and not probed:
                self.shown = orientation_of(frames[0])
                self.size_hw = self.shown.upright_hw(frames[0].height, frames[0].width)
                self.is_plain = self._is_plain(frames[0], num_before)
            probed += [frame.pts for frame in frames]
            if len(probed) >= NUM_PROBED:
                return probed[:NUM_PROBED]
            if frames:
                # PyAV's frames refer to what was asked of their side data and back. One that was asked must go before
                # the next is decoded: 50 MB in 8K. For that reason only one is ever asked.
                frames = []
                gc.collect(0)
        if not probed:
            raise VideoError(f"no video frame in it{self.faults.because()}")
        return probed

    def _is_plain(self, first: VideoFrame, num_held_back: int) -> bool:
        """Whether decord may count the frames; a decoder that holds back too few at first drops some on the way."""
        index, is_turned = self.index, first.side_data.get("DISPLAYMATRIX") is not None
        whole = index.has_closed_groups and index.is_listed and index.num_held_back <= num_held_back
        return whole and index.num_palettes == 0 and not first.interlaced_frame and not is_turned

    def _times(self) -> Iterator[float]:
        for frame in self._decoded(None):
            if frame.time is None:
                raise VideoError("its frames have no time stamps: convert it, for instance to .mp4")
            yield frame.time

    def _decoded(self, key_pts: int | None) -> Iterator[VideoFrame]:
        """Decode frames in the order of presentation, from a key frame on or from the start."""
        packets = self.packets
        for packet in packets.all(self.faults) if key_pts is None else packets.from_key(key_pts, self.faults):
            for frame in self.faults.decode(packet):
                if key_pts is None or (frame.pts is not None and frame.pts >= key_pts):
                    yield frame

    def _upright_rgb(self, frame: VideoFrame, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        """Convert a frame to RGB, upright as the file says it is shown, and scaled."""
        height, width = self.shown.upright_hw(*size_hw)
        scaled = None if (height, width) == (frame.height, frame.width) else "BICUBIC"
        try:
            rgb = self.reformatter.reformat(frame, width, height, "rgb24", interpolation=scaled, threads=1)
        except av.FFmpegError as error:  # each frame says how its colours are stored
            raise VideoError(
                f"the colours of a frame cannot be converted ({error.strerror}): the file is damaged, or of a rare kind"
            ) from error
        return self.shown.upright(cast("NDArray[np.uint8]", rgb.to_ndarray()))


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
