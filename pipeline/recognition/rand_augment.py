"""RandAugment: a few operations drawn for a clip, and applied alike to all of its frames.

Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", 2020, with what CAST and
VideoMAE use of it: operations whose severity rises with the magnitude; each is drawn with replacement and then applied
in half of the cases, with a magnitude of its own around the one that is set, at most 10.

Shapes: T frames, C channels, H height, W width.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from pipeline.config import RandAugmentSettings
from pipeline.recognition.pixels import IMAGENET

APPLIED = 0.5  # chance that an operation that was drawn is applied
STRONGEST = 10.0
ROTATED = 30.0  # degrees, at the strongest
SHEARED = 0.3  # pixels across for a pixel down
MOVED = 0.45  # share of the side that the network sees
RECOLOURED = 0.9  # how far from 1 the factors of colour, contrast, brightness and sharpness are
ADDED = 110  # what is added to the darker half of the brightnesses
FILL = [round(255 * mean) for mean in IMAGENET[0]]  # colour of what comes into the frame from outside


class Drawn(NamedTuple):
    """An operation that is applied to a clip.

    Attributes:
        name: One of `OPERATIONS`.
        strength: Its magnitude, from 0 to 1.
        sign: The direction of those that have two, -1 or 1.
    """

    name: str
    strength: float
    sign: float


def rand_augment(x_TCHW: Tensor, settings: RandAugmentSettings, size: int, rng: np.random.Generator) -> Tensor:
    """Apply operations that are drawn to all frames of a clip.

    Args:
        x_TCHW: Frames, bytes, grey or in colours.
        settings: How many operations are drawn, and how strong they are.
        size: Side of the square that the network sees, which says how far frames are moved.
        rng: Draws them.

    Returns:
        Frames of the same shape.
    """
    for drawn in drawn_operations(settings, rng):
        x_TCHW = apply(drawn.name, x_TCHW, drawn.strength, drawn.sign, size)
    return x_TCHW


def drawn_operations(settings: RandAugmentSettings, rng: np.random.Generator) -> Iterator[Drawn]:
    """Draw the operations that are applied to a clip, one after another."""
    for number in rng.integers(len(OPERATIONS), size=settings.operations):
        is_applied = rng.random() < APPLIED
        magnitude = float(np.clip(rng.normal(settings.magnitude, settings.deviation), 0, STRONGEST))
        sign = float(rng.choice((-1.0, 1.0)))
        if is_applied:
            yield Drawn(OPERATIONS[number], magnitude / STRONGEST, sign)


def solarize(x: Tensor, threshold: int) -> Tensor:
    """Invert the bytes from a brightness on; 256 inverts none."""
    return torch.where(x.short() >= threshold, 255 - x, x)


def add_to_dark(x: Tensor, amount: int) -> Tensor:
    """Add to the bytes below 128, at most up to white."""
    return torch.where(x < 128, (x.short() + amount).clamp(max=255).byte(), x)


def moved(x_TCHW: Tensor, angle: float = 0.0, across: float = 0.0, down: float = 0.0, shear: float = 0.0) -> Tensor:
    """Rotate frames (degrees), move them (pixels) or shear them (pixels across for one down), around their centre."""
    fill = FILL if x_TCHW.shape[1] == len(FILL) else [round(sum(FILL) / len(FILL))] * x_TCHW.shape[1]
    degrees = [float(np.degrees(np.arctan(shear))), 0.0]
    move = [round(across), round(down)]
    found: Tensor = F.affine(x_TCHW, angle, move, 1.0, degrees, InterpolationMode.BILINEAR, fill=fill)
    return found


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


def apply(name: str, x_TCHW: Tensor, strength: float, sign: float, size: int) -> Tensor:
    """Apply an operation to all frames of a clip.

    Args:
        name: One of `OPERATIONS`.
        x_TCHW: Frames, bytes.
        strength: From 0 to 1.
        sign: The direction of those that have two.
        size: Side of the square that the network sees.
    """
    if name in FACTORS:
        return FACTORS[name](x_TCHW, 1 + sign * RECOLOURED * strength)
    if name in ("shear_across", "shear_down"):
        upright = name == "shear_down"  # as if columns were rows
        sheared = moved(x_TCHW.mT if upright else x_TCHW, shear=sign * SHEARED * strength)
        return sheared.mT if upright else sheared
    distance = sign * strength * int(MOVED * size)
    changes: dict[str, Callable[[], Tensor]] = {
        "auto_contrast": lambda: F.autocontrast(x_TCHW),
        "equalize": lambda: F.equalize(x_TCHW),
        "invert": lambda: 255 - x_TCHW,
        "rotate": lambda: moved(x_TCHW, angle=sign * ROTATED * strength),
        "posterize": lambda: F.posterize(x_TCHW, 4 - int(4 * strength)),
        "solarize": lambda: solarize(x_TCHW, 256 - int(256 * strength)),
        "solarize_add": lambda: add_to_dark(x_TCHW, int(ADDED * strength)),
        "move_across": lambda: moved(x_TCHW, across=distance),
        "move_down": lambda: moved(x_TCHW, down=distance),
    }
    return changes[name]()
