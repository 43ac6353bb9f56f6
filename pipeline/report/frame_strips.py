"""Make strips of a clip's frames, one beside the other, as pictures of the page, with regions drawn on them or without.

Shapes: T frames, H height, W width, C colours, N regions.
"""

import io
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.artifact.clip_store import ClipStore

FRAMES = 6
HEIGHT = 96  # pixels
WIDEST = 192  # pixels of a frame
GAP = 2
QUALITY = 80  # of 100, JPEG
COLOURS = ("#e6584a", "#3b82c4", "#3f9a5f", "#d9822b", "#b35bb0", "#2fb5b5", "#c9b400", "#8f8f8f", "#f08fc0")


def spread_frames(num_frames: int, most: int = FRAMES) -> list[int]:
    """Numbers of at most so many frames of a clip, at equal distances, each in the middle of its part of the clip."""
    count = min(most, num_frames)
    return [int((i + 0.5) * num_frames / count) for i in range(count)]


def strip_uri(clips: ClipStore, clip_id: str) -> str:
    """Make a strip of a clip's frames as the `src` of an image: that of `strip_of`."""
    return f"data:image/jpeg;base64,{b64encode(strip_of(clips, clip_id)).decode()}"


def strip_of(
    clips: ClipStore,
    clip_id: str,
    numbers: Sequence[int] | None = None,
    boxes: Sequence[NDArray[np.floating]] = (),
) -> bytes:
    """Make a strip of a clip's frames.

    Args:
        clips: Where frames are read.
        clip_id: Id of the clip.
        numbers: The frames to show; None for `FRAMES` of them, spread over the clip.
        boxes: Regions of each frame that are drawn on it, shares of the frame (left, top, right, bottom), `[N, 4]`; a
            region has the same colour in all frames.

    Returns:
        A JPEG.
    """
    numbers = spread_frames(clips.num_frames(clip_id)) if numbers is None else numbers
    pictures = [_picture(frame_HWC) for frame_HWC in clips.read(clip_id, numbers)]
    for picture, of_frame in zip(pictures, boxes, strict=False):
        _draw(picture, of_frame)
    width, height = pictures[0].size
    strip = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height), "#808080")
    for place, picture in enumerate(pictures):
        strip.paste(picture, (place * (width + GAP), 0))
    content = io.BytesIO()
    strip.save(content, "JPEG", quality=QUALITY)
    return content.getvalue()


def _picture(frame_HWC: NDArray[np.uint8]) -> Image.Image:
    grey = frame_HWC.shape[2] == 1
    picture = Image.fromarray(frame_HWC[:, :, 0] if grey else frame_HWC).convert("RGB")
    height = min(HEIGHT, round(WIDEST * picture.height / picture.width))
    return picture.resize((max(1, round(height * picture.width / picture.height)), max(1, height)))


def _draw(picture: Image.Image, boxes_N4: NDArray[np.floating]) -> None:
    pen = ImageDraw.Draw(picture)
    scale = np.array([picture.width - 1, picture.height - 1] * 2)
    for number, box in enumerate(np.asarray(boxes_N4, np.float64) * scale):
        pen.rectangle([round(side) for side in box], outline=COLOURS[number % len(COLOURS)], width=2)
