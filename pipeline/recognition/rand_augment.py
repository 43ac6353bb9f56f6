"""RandAugment: a few operations drawn for a clip, and applied alike to all of its frames.

Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", 2020, with what CAST and
VideoMAE use of it (timm's policy `rand-m7-n4-mstd0.5-inc1`): operations whose severity rises with the magnitude; each
is drawn with replacement and then applied in half of the cases, with a magnitude of its own around the one that is set,
at most 10. Frames are turned, sheared and moved by Pillow, as there; torchvision does the rest.

Shapes: T frames, C channels, H height, W width.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from pipeline.config import RandAugmentSettings
from pipeline.recognition.pixels import IMAGENET

Interpolation = Literal["bilinear", "bicubic"]
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

APPLIED = 0.5  # chance that an operation that was drawn is applied
STRONGEST = 10.0
ROTATED = 30.0  # degrees, at the strongest
SHEARED = 0.3  # pixels across for a pixel down, from the upper left corner
MOVED = 0.45  # share of the frame's own width or height
RECOLOURED = 0.9  # how far from 1 the factors of colour, contrast, brightness and sharpness are
ADDED = 110  # what is added to the darker half of the brightnesses
FILL = [round(255 * mean) for mean in IMAGENET[0]]  # colour of what comes into the frame from outside


class Drawn(NamedTuple):
    """An operation that is applied to a clip.

    Attributes:
        name: One of `OPERATIONS`.
        strength: Its magnitude, from 0 to 1.
        sign: The direction of those that have two, -1 or 1.
        interpolation: How pixels between pixels are found.
    """

    name: str
    strength: float
    sign: float
    interpolation: Interpolation


def rand_augment(x_TCHW: Tensor, settings: RandAugmentSettings, rng: np.random.Generator) -> Tensor:
    """Apply operations that are drawn to all frames of a clip.

    Args:
        x_TCHW: Frames, bytes, grey or in colours.
        settings: How many operations are drawn, how strong they are, and how pixels are interpolated.
        rng: Draws them.

    Returns:
        Frames of the same shape.
    """
    for drawn in drawn_operations(settings, rng):
        x_TCHW = apply(x_TCHW, drawn)
    return x_TCHW


def drawn_operations(settings: RandAugmentSettings, rng: np.random.Generator) -> Iterator[Drawn]:
    """Draw the operations that are applied to a clip, one after another."""
    for number in rng.integers(len(OPERATIONS), size=settings.operations):
        is_applied = rng.random() < APPLIED
        magnitude = float(np.clip(rng.normal(settings.magnitude, settings.deviation), 0, STRONGEST))
        sign = float(rng.choice((-1.0, 1.0)))
        how: Interpolation = "bilinear" if settings.interpolation == "bilinear" else "bicubic"
        if settings.interpolation == "random" and rng.integers(2):
            how = "bilinear"
        if is_applied:
            yield Drawn(OPERATIONS[number], magnitude / STRONGEST, sign, how)


def solarize(x: Tensor, threshold: int) -> Tensor:
    """Invert the bytes from a brightness on; 256 inverts none."""
    return torch.where(x.short() >= threshold, 255 - x, x)


def add_to_dark(x: Tensor, amount: int) -> Tensor:
    """Add to the bytes below 128, at most up to white."""
    return torch.where(x < 128, (x.short() + amount).clamp(max=255).byte(), x)


def warped(x_TCHW: Tensor, change: Callable[[Image.Image, int | tuple[int, ...]], Image.Image]) -> Tensor:
    """Change the places of pixels in all frames.

    Args:
        x_TCHW: Frames, bytes, grey or in three colours.
        change: Gives a frame of the same size, from a frame and the colour of what comes into it from outside.
    """
    is_grey = x_TCHW.shape[1] == 1
    fill: int | tuple[int, ...] = round(sum(FILL) / len(FILL)) if is_grey else tuple(FILL)
    pixels_THWC = x_TCHW.permute(0, 2, 3, 1).numpy()
    frames = [Image.fromarray(frame_HWC[..., 0] if is_grey else frame_HWC) for frame_HWC in pixels_THWC]
    changed = np.stack([np.asarray(change(frame, fill)) for frame in frames])
    return torch.from_numpy(changed.reshape(pixels_THWC.shape)).permute(0, 3, 1, 2)


def rotated(x_TCHW: Tensor, degrees: float, interpolation: Interpolation) -> Tensor:
    """Rotate frames around their centre."""
    how = RESAMPLING[interpolation]
    return warped(x_TCHW, lambda frame, fill: frame.rotate(degrees, how, fillcolor=fill))


def mapped(
    x_TCHW: Tensor,
    interpolation: Interpolation,
    across: tuple[float, float, float] = (1, 0, 0),
    down: tuple[float, float, float] = (0, 1, 0),
) -> Tensor:
    """Show at each place (x, y) of frames what was at the place a x + b y + c across, and d x + e y + f down.

    Args:
        x_TCHW: Frames.
        interpolation: How pixels between pixels are found.
        across: a, b and c.
        down: d, e and f.
    """
    how, matrix = RESAMPLING[interpolation], (*across, *down)
    return warped(
        x_TCHW, lambda frame, fill: frame.transform(frame.size, Image.Transform.AFFINE, matrix, how, fillcolor=fill)
    )


# Of colours, contrast and the like: how far a factor is from 1, in either direction.
FACTORS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "colour": F.adjust_saturation,
    "contrast": F.adjust_contrast,
    "brightness": F.adjust_brightness,
    "sharpness": F.adjust_sharpness,
}
OPERATIONS = (
    *("auto_contrast", "equalize", "invert", "rotate", "posterize", "solarize", "solarize_add", *FACTORS),
    *("shear_across", "shear_down", "move_across", "move_down"),
)


def apply(x_TCHW: Tensor, drawn: Drawn) -> Tensor:
    """Apply an operation to all frames of a clip.

    Args:
        x_TCHW: Frames, bytes.
        drawn: The operation.
    """
    name, strength, sign, how = drawn
    if name in FACTORS:
        return FACTORS[name](x_TCHW, 1 + sign * RECOLOURED * strength)
    height, width = x_TCHW.shape[2:]
    shear, move = sign * SHEARED * strength, sign * MOVED * strength
    changes: dict[str, Callable[[], Tensor]] = {
        "auto_contrast": lambda: F.autocontrast(x_TCHW),
        "equalize": lambda: F.equalize(x_TCHW),
        "invert": lambda: 255 - x_TCHW,
        "rotate": lambda: rotated(x_TCHW, sign * ROTATED * strength, how),
        "posterize": lambda: F.posterize(x_TCHW, 4 - int(4 * strength)),
        "solarize": lambda: solarize(x_TCHW, 256 - int(256 * strength)),
        "solarize_add": lambda: add_to_dark(x_TCHW, int(ADDED * strength)),
        "shear_across": lambda: mapped(x_TCHW, how, across=(1, shear, 0)),
        "shear_down": lambda: mapped(x_TCHW, how, down=(shear, 1, 0)),
        "move_across": lambda: mapped(x_TCHW, how, across=(1, 0, move * width)),
        "move_down": lambda: mapped(x_TCHW, how, down=(0, 1, move * height)),
    }
    return changes[name]()
