"""Choose, decode, scale and crop windows of consecutive frames for a motion network.

Windows are aligned to multiples of their length, as AKG-sv and its ancestor do (Hendria et al., "Action Knowledge for
Video Captioning with Graph Neural Networks", JKSUCIS 2023). Frames are scaled as torchvision's `Resize` scales a
picture for I3D: by Pillow, bilinear with antialiasing. (FFmpeg could scale while it converts, but in YUV, which is not
what published weights were trained on.) Nothing here imports torch, so that decoding workers start at once and stay
small.

Shapes: W windows (in `_WT`), T frames of a window, H height, W width, C colour (red, green, blue).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import VideoError
from pipeline.video.clip_frames import clip_frames
from pipeline.video.decoding import Video, open_video, read_frames
from pipeline.video.interval import Interval
from pipeline.video.mishaps import costing_one_video

RESIZE_SCALE = 256 / 224  # of the shorter side to the crop, as I3D was trained

Windows = NDArray[np.uint8]


@dataclass(frozen=True)
class WindowRequest:
    """Which windows of one clip to decode, and at what size.

    Attributes:
        path: The file.
        num_frames: Frames that the clip had when its frames were sampled; None if they were not counted.
        starts: First frame of each window; None for the one window around the clip's middle.
        length: Frames of a window.
        size: Side in pixels of the square that is cut out of each frame; or the height and width that the whole frame
            is scaled to.
        interval: The clip's part of the file; None for all of it. Windows see no frame outside.
    """

    path: Path
    num_frames: int | None
    starts: tuple[int, ...] | None
    length: int
    size: int | tuple[int, int]
    interval: Interval | None = None


@dataclass(frozen=True)
class WindowFrames:
    """The frames of a video's windows, each held once. `len()` and iteration are over the windows, u1 [T, H, W, 3].

    Attributes:
        frames: u1 [number of frames, H, W, 3].
        rows_WT: For each frame of each window, its row of `frames`.
        suspect: Reason why the frames may be wrong; None if nothing was seen.
    """

    frames: Windows
    rows_WT: NDArray[np.intp]
    suspect: str | None

    def __len__(self) -> int:
        return len(self.rows_WT)

    def __iter__(self) -> Iterator[Windows]:
        return (self.frames[rows_T] for rows_T in self.rows_WT)


def window_starts(numbers: NDArray[Any], num_frames: int, length: int) -> NDArray[np.int32]:
    """First frame of the window that belongs to each sampled frame.

    Windows begin at multiples of their length; where too few frames remain, the window is the last `length` frames. A
    video that is shorter has one window, from frame 0.

    Args:
        numbers: Frame numbers from 0, [F].
        num_frames: Frames of the video.
        length: Frames of a window.

    Returns:
        First frame of each window, [F], int32.
    """
    aligned = np.asarray(numbers, dtype=np.int64) // length * length
    return np.clip(aligned, 0, max(num_frames - length, 0)).astype(np.int32)


def window_frames(start: int, num_frames: int, length: int) -> NDArray[np.int64]:
    """Frame numbers of a window, [length]; beyond the video's end the last frame is repeated."""
    return np.minimum(np.arange(start, start + length), num_frames - 1)


def square_within_margin(frame_HWC: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale a frame's shorter side to 256/224 of `size` and cut out the central square, [size, size, 3]."""
    height, width = frame_HWC.shape[:2]
    short, scaled = min(height, width), round(RESIZE_SCALE * size)
    new_width, new_height = scaled * width // short, scaled * height // short
    picture = Image.fromarray(frame_HWC).resize((new_width, new_height), Image.Resampling.BILINEAR)
    left, top = round((new_width - size) / 2), round((new_height - size) / 2)
    return np.asarray(picture.crop((left, top, left + size, top + size)))


def scale(frame_HWC: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a whole frame to [*size_hw, 3]; a frame of that size stays as it is."""
    if frame_HWC.shape[:2] == size_hw:
        return frame_HWC
    return np.asarray(Image.fromarray(frame_HWC).resize(size_hw[::-1], Image.Resampling.BILINEAR))


def read_windows(request: WindowRequest) -> Windows:
    """Decode the windows of a video; frames that windows share are decoded once.

    Returns:
        u1 [number of windows, length, H, W, 3], in the order of `request.starts`.

    Raises:
        VideoError: if the file cannot be decoded, is not the one whose frames were sampled, or whatever else it does.
        PipelineError: if the machine refused what any video needs.
    """
    found = read_window_frames(request)
    return found.frames[found.rows_WT]


def read_window_frames(request: WindowRequest) -> WindowFrames:
    """Decode the frames of the windows of a video, each once.

    Returns:
        The frames in their order in the video, the windows in the order of `request.starts`.

    Raises:
        VideoError: if the file cannot be decoded, is not the one whose frames were sampled, or whatever else it does.
        PipelineError: if the machine refused what any video needs.
    """
    with costing_one_video(), open_video(request.path) as video:
        return _read_window_frames(video, request)


def _read_window_frames(video: Video, request: WindowRequest) -> WindowFrames:
    clip = clip_frames(video, request.interval)
    num_frames = len(clip.times_F)
    if request.num_frames not in (None, num_frames):
        raise VideoError(f"it has {num_frames} frames, but had {request.num_frames} when its frames were sampled")
    starts = request.starts
    if starts is None:
        starts = tuple(window_starts(np.array([num_frames // 2]), num_frames, request.length).tolist())
    numbers_WT = np.stack([window_frames(start, num_frames, request.length) for start in starts])
    wanted, rows_WT = np.unique(numbers_WT, return_inverse=True)
    size = request.size

    def fit(frame_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return square_within_margin(frame_HWC, size) if isinstance(size, int) else scale(frame_HWC, size)

    frames = read_frames(video, clip.first + wanted, fit=fit, stand_ins=True)
    return WindowFrames(frames, rows_WT.reshape(numbers_WT.shape), clip.suspect(video))
