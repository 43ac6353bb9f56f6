"""Alter the pixels of a training clip at random, in the same way in all of its frames.

A clip is bytes `[T, H, W, C]` as the store gives them, and comes out as bytes `[T, C, S, S]`. All that is random comes
from the generator that is passed, so that a clip looks the same in whichever process it is made.

Shapes: T frames, H height, W width, C channels, S side of the square that the network sees.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pipeline.config import ClipAugmentationSettings
from pipeline.recognition.rand_augment import rand_augment

Pixels = NDArray[np.uint8]

SCALES = (1.0, 0.875, 0.75, 0.66)  # sides of multi-scale crops, as shares of the short side (Wang et al., 2016)
AREAS = (0.08, 1.0)  # areas of random resized crops, as shares of the frame's (Szegedy et al., 2015)
ASPECTS = (3 / 4, 4 / 3)
TRIES = 10
# Where multi-scale crops lie, in quarters of the free way down and across: the corners and the centre; then the middles
# of the four sides, and of the four quarters.
PLACES = (
    (0, 0), (0, 4), (4, 0), (4, 4), (2, 2),
    (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3),
)  # fmt: skip


class Crop(NamedTuple):
    """A rectangle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


class Augmented(NamedTuple):
    """A clip as the network sees it.

    Attributes:
        pixels: Bytes `[T, C, S, S]`.
        is_mirrored: Whether left and right were swapped.
    """

    pixels: Tensor
    is_mirrored: bool


def augment(pixels_THWC: Pixels, settings: ClipAugmentationSettings, rng: np.random.Generator) -> Augmented:
    """Apply RandAugment to a clip, crop, mirror and brighten it at random, and resize it.

    RandAugment sees the whole frames, before they are cropped, as in CAST.

    Args:
        pixels_THWC: The frames of the clip, of any size.
        settings: How.
        rng: Where all that is random comes from.
    """
    if settings.rand_augment is not None:
        x_TCHW = torch.from_numpy(pixels_THWC).permute(0, 3, 1, 2)
        x_TCHW = rand_augment(x_TCHW, settings.rand_augment, rng)
        pixels_THWC = x_TCHW.permute(0, 2, 3, 1).numpy()
    height, width = pixels_THWC.shape[1:3]
    crop = draw_crop(height, width, settings, rng)
    is_mirrored = settings.flip != "none" and bool(rng.integers(2))
    x_TCSS = resize(crop_out(pixels_THWC, crop), settings.size, settings.size)
    if is_mirrored:
        x_TCSS = x_TCSS.flip(-1)
    if settings.brightness > 0:
        x_TCSS = brighten(x_TCSS, float(rng.uniform(-settings.brightness, settings.brightness)))
    return Augmented(x_TCSS, is_mirrored)


def draw_crop(height: int, width: int, settings: ClipAugmentationSettings, rng: np.random.Generator) -> Crop:
    """The part of a frame that the settings ask for; of `whole`, nothing is drawn."""
    if settings.crop == "multi_scale":
        return multi_scale(height, width, settings.size, rng)
    if settings.crop == "random_resized":
        return random_resized(height, width, rng)
    if settings.crop == "random":
        return random_square(height, width, settings.size, rng)
    return Crop(0, 0, height, width)


def multi_scale(height: int, width: int, size: int, rng: np.random.Generator) -> Crop:
    """A crop whose sides are two of four shares of the short side, at one of 13 places (TSN, TSM, DyReg).

    The two shares are neighbours in their list, or the same one. A side that is within two pixels of `size` is `size`.
    """
    short = min(height, width)
    shares = [int(short * scale) for scale in SCALES]
    sides = [size if abs(side - size) < 3 and size <= short else side for side in shares]
    pairs = [(h, w) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= 1]
    crop_height, crop_width = pairs[rng.integers(len(pairs))]
    down, across = PLACES[rng.integers(len(PLACES))]
    return Crop(down * ((height - crop_height) // 4), across * ((width - crop_width) // 4), crop_height, crop_width)


def random_resized(height: int, width: int, rng: np.random.Generator) -> Crop:
    """A crop of random area and aspect; the largest square in the middle where ten draws do not fit in the frame."""
    for _ in range(TRIES):
        area = height * width * rng.uniform(*AREAS)
        aspect = float(np.exp(rng.uniform(*np.log(ASPECTS))))
        crop_width, crop_height = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if 0 < crop_width <= width and 0 < crop_height <= height:
            top, left = rng.integers(height - crop_height + 1), rng.integers(width - crop_width + 1)
            return Crop(int(top), int(left), crop_height, crop_width)
    short = min(height, width)
    return Crop((height - short) // 2, (width - short) // 2, short, short)


def random_square(height: int, width: int, size: int, rng: np.random.Generator) -> Crop:
    """A square of side `size` anywhere, or of the short side where that is less."""
    side = min(size, height, width)
    return Crop(int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)), side, side)


def crop_out(pixels_THWC: Pixels, crop: Crop) -> Pixels:
    """The pixels of a crop, as a view."""
    return pixels_THWC[:, crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]


def resize(pixels_THWC: Pixels, height: int, width: int) -> Tensor:
    """Resize frames by bilinear interpolation of areas, to bytes `[T, C, height, width]`; none that fits is altered."""
    x_TCHW = torch.from_numpy(pixels_THWC).permute(0, 3, 1, 2)
    if x_TCHW.shape[2:] == (height, width):
        return x_TCHW
    return F.interpolate(x_TCHW, (height, width), mode="bilinear", antialias=True)


def brighten(x: Tensor, share: float) -> Tensor:
    """Add a share of white, or take it away, and stay within bytes."""
    return (x.short() + round(share * 255)).clamp_(0, 255).byte()
