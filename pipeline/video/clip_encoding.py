"""Read every frame of a clip and keep each by itself: the work of a worker of `decode_clips`.

Frames are encoded while the video is decoded, so that a worker holds the encoded clip and one frame of pixels. This
module is apart from the stage, because a worker that imports little starts quickly.

Shapes: F frames of the clip in its file, S frames that are kept, H height, W width, C colour.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.video.clip_frames import clip_frames
from pipeline.video.decoding import open_video
from pipeline.video.frame_files import FrameFiles
from pipeline.video.frame_folder import FrameFolder
from pipeline.video.frame_sampling import fit_short_side, sample_frames
from pipeline.video.interval import Interval
from pipeline.video.jpeg import JPEG, RAW, encode_jpeg
from pipeline.video.mishaps import costing_one_video

Arrays = dict[str, NDArray[Any]]

FOLDER_FPS = 12  # by which frames of a folder, which have no times, count as seconds: Something-Something v1 has 12


@dataclass(frozen=True)
class EncodedClip:
    """The frames of one clip as they are stored.

    Attributes:
        arrays: The clip's rows of each array of the schema `clips`.
        suspect: Reason why the frames may be wrong; None if nothing was seen.
    """

    arrays: Arrays
    suspect: str | None


@dataclass(frozen=True)
class ClipRequest:
    """Which frames of one clip to keep, how large, and as what.

    Attributes:
        path: The file, or the folder of frames.
        num_bytes: Size of the file in bytes when it was indexed; of a folder, of all its frames.
        fps: Frames to keep of each second; None for every frame.
        max_frames: Most frames to keep.
        short_side: Most pixels that the short side of a frame may have; None for all.
        quality: Quality of JPEG, 1 to 100; None where pixels are kept as they are.
        interval: The clip's part of the file; None for all of it.
        frames: Which files of the folder are the clip's frames; None where it is a file.
    """

    path: Path
    num_bytes: int
    fps: float | None
    max_frames: int
    short_side: int | None
    quality: int | None
    interval: Interval | None = None
    frames: FrameFiles | None = None


def read_clip(request: ClipRequest) -> EncodedClip:
    """Read and encode the frames of one clip.

    Raises:
        VideoError: if the file is missing, is another one than was indexed, cannot be decoded, or has no frame in the
            clip's interval; if a frame of a folder is missing or cannot be read; or whatever else it does.
        PipelineError: if the machine refused what any video needs.
    """
    with costing_one_video():
        return _of_file(request) if request.frames is None else _of_folder(request, request.frames)


def _of_file(request: ClipRequest) -> EncodedClip:
    with open_video(request.path) as video:
        num_bytes = request.path.stat().st_size
        if num_bytes != request.num_bytes:
            raise VideoError(
                f"the file has {num_bytes} bytes, it had {request.num_bytes} when it was indexed: index it again"
            )
        clip = clip_frames(video, request.interval)
        numbers_S = kept_frames(clip.times_F, request.fps, request.max_frames, clip.begin)
        size_hw = video.size_hw if request.short_side is None else fit_short_side(*video.size_hw, request.short_side)
        frames = EncodedFrames(len(numbers_S), (*size_hw, 3), request.quality)
        # A frame that is lost on the way is replaced by the one before it, as in players; the video is then suspect.
        video.read((clip.first + numbers_S).tolist(), size_hw, frames.keep, stand_ins=True)
        return EncodedClip(frames.arrays(clip.times_F[numbers_S]), clip.suspect(video))


def _of_folder(request: ClipRequest, files: FrameFiles) -> EncodedClip:
    folder = FrameFolder(request.path, files, request.num_bytes)
    times_F = np.arange(len(folder)) / FOLDER_FPS
    numbers_S = kept_frames(times_F, request.fps, request.max_frames)
    height, width, colours = folder.shape_HWC
    size_hw = (height, width) if request.short_side is None else fit_short_side(height, width, request.short_side)
    frames = EncodedFrames(len(numbers_S), (*size_hw, colours), request.quality)
    for row, number in enumerate(numbers_S.tolist()):
        content = folder.jpeg(number) if request.quality is not None and size_hw == (height, width) else None
        if content is None:
            frames.keep(row, folder.pixels(number, size_hw))
        else:
            frames.take_over(row, content)
    return EncodedClip(frames.arrays(times_F[numbers_S]), None)


class EncodedFrames:
    """The frames of a clip, encoded as they come; a frame may come again and then replaces what came before.

    Args:
        num_frames: How many there will be.
        shape_HWC: Shape of each.
        quality: Quality of JPEG; None to keep the pixels.
    """

    def __init__(self, num_frames: int, shape_HWC: tuple[int, int, int], quality: int | None) -> None:
        self.shape_HWC = shape_HWC
        self.quality = quality
        self.encoded: list[bytes] = [b""] * num_frames
        raw_shape = (num_frames if quality is None else 0, *shape_HWC)
        self.raw = np.empty(raw_shape, np.uint8)

    def keep(self, row: int, frame_HWC: NDArray[np.uint8] | None) -> None:
        """Encode one frame; None stands for the frame of the row before."""
        if self.quality is None:
            self.raw[row] = self.raw[row - 1] if frame_HWC is None else frame_HWC
        else:
            self.encoded[row] = self.encoded[row - 1] if frame_HWC is None else encode_jpeg(frame_HWC, self.quality)

    def take_over(self, row: int, content: bytes) -> None:
        """Take a frame that is a JPEG of this shape already."""
        self.encoded[row] = content

    def arrays(self, times_S: NDArray[np.float64]) -> Arrays:
        """The clip's rows of each array of the schema `clips`.

        Args:
            times_S: When each frame is shown, in seconds.
        """
        is_raw = self.quality is None
        lengths = [self.raw[0].size] * len(self.raw) if is_raw else [len(content) for content in self.encoded]
        return {
            "byte": self.raw.reshape(-1) if is_raw else np.frombuffer(b"".join(self.encoded), np.uint8),
            "frame_end": np.cumsum(lengths, dtype=np.int64),
            "time": times_S,
            "size": np.array([self.shape_HWC[:2]]),
            "colours": np.array([self.shape_HWC[2]]),
            "codec": np.array([RAW if is_raw else JPEG]),
        }


def kept_frames(
    times_F: NDArray[np.float64], fps: float | None, max_frames: int, begin: float | None = None
) -> NDArray[np.int64]:
    """Numbers of the frames that are kept: all of them, or those on show `fps` times a second (`sample_frames`).

    Where there are more than `max_frames`, that many are chosen at equal distances (rounded down), the first and the
    last among them; if `max_frames` is 1, the first. Their times tell that others were left out.

    Args:
        times_F: Presentation times in seconds, ascending, F >= 1.
        fps: Frames to keep of each second; None for every frame.
        max_frames: Most frames to keep.
        begin: When sampling begins, as `sample_frames` takes it.

    Returns:
        Frame numbers, [S], ascending.

    Raises:
        VideoError: if the times do not ascend.
    """
    if fps is not None:
        return sample_frames(times_F, fps, max_frames, begin)
    if not np.isfinite(times_F).all() or (np.diff(times_F) < 0).any():
        raise VideoError("its time stamps do not ascend: the file is damaged, or its container was written wrongly")
    number = min(len(times_F), max_frames)
    return np.arange(number) * (len(times_F) - 1) // max(1, number - 1)
