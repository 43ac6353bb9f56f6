"""Draw the frames of a clip of SyncMNIST.

Shapes: T frames, D digits, 2 for row and column; P pixels of a digit's ink; S rows and columns of a frame.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.datasets.sync_mnist.glyphs import GlyphBank
from pipeline.datasets.sync_mnist.tracks import Scene

LEAST_INK = 10  # darker pixels of a digit let what is behind it through


def render(scene: Scene, bank: GlyphBank, canvas: int, size: int) -> NDArray[np.uint8]:
    """Draw a clip on a black canvas, later digits before earlier ones, and scale it (bilinear, as Pillow does).

    The published generator stretches each frame to 0..255 before it scales, which changes nothing where a frame has
    black and a white pixel, and is left out.

    Args:
        scene: What to draw.
        bank: The glyphs.
        canvas: Rows and columns of the canvas, in pixels.
        size: Rows and columns of the frames.

    Returns:
        Grey, u1 `[T, S, S]`.
    """
    num_frames = len(scene.tracks_TD2)
    frames_T = np.zeros((num_frames, canvas * canvas), np.uint8)
    corner_TD = scene.tracks_TD2[:, :, 0] * canvas + scene.tracks_TD2[:, :, 1]
    first_T1 = (np.arange(num_frames) * canvas * canvas)[:, None]
    flat = frames_T.reshape(-1)
    for slot, glyph in enumerate(scene.glyphs_D):
        image = bank.images_N[glyph]
        row_P, column_P = np.nonzero(image >= LEAST_INK)
        flat[first_T1 + corner_TD[:, slot, None] + row_P * canvas + column_P] = image[row_P, column_P]
    frames_TYX = frames_T.reshape(num_frames, canvas, canvas)
    if size == canvas:
        return frames_TYX
    scaled = np.empty((num_frames, size, size), np.uint8)
    for frame, pixels in enumerate(frames_TYX):
        scaled[frame] = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
    return scaled
