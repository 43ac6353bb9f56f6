"""Lay the relevance of a video's regions over its frames.

Shapes: R regions, S steps in time, Y rows and X columns of pixels, F frames, C colours (red, green, blue).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRONGEST = 0.65  # how much of the colour covers the frame where relevance is greatest
WEAK, STRONG = np.array([255.0, 60.0, 0.0]), np.array([255.0, 255.0, 60.0])  # from red to yellow

Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Regions:
    """Where the regions of a video are.

    Attributes:
        time_R: When each is shown, in seconds.
        box_R4: Left, top, right, bottom, as shares of the frame.
        shape: Steps, rows and columns where they are a grid, in this order; three times 0 where they are none.
    """

    time_R: Floats
    box_R4: Floats
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Heat:
    """Relevance of a video's pixels in each step, from 0 to 1, and when the steps are shown, in ascending order."""

    time_S: Floats
    heat_SYX: Floats

    def at(self, seconds: float) -> Floats:
        """The heat `[Y, X]` at a time: between two steps a mixture of both, outside of all that of the nearest."""
        place = np.interp(seconds, self.time_S, np.arange(len(self.time_S)))
        before = int(place)
        after = min(before + 1, len(self.time_S) - 1)
        share = place - before
        return np.asarray((1 - share) * self.heat_SYX[before] + share * self.heat_SYX[after])


def heat_of(relevance_R: Floats, regions: Regions, size_hw: tuple[int, int]) -> Heat:
    """Draw relevance in pixels: cells of a grid run into each other, other regions are boxes, the hottest on top.

    Args:
        relevance_R: Relevance of the regions; what is negative counts as 0. Its greatest number becomes 1; what is 0
            everywhere stays so.
        regions: Where they are.
        size_hw: Height and width of the frames.
    """
    positive_R = np.clip(relevance_R.astype(np.float64), 0, None)
    most = positive_R.max(initial=0.0)
    scaled_R = positive_R / most if most > 0 else positive_R
    steps, rows, columns = regions.shape
    if steps * rows * columns:
        maps_SHW = scaled_R.reshape(regions.shape)
        corners_R4 = regions.box_R4
        seen = (*corners_R4[:, :2].min(0), *corners_R4[:, 2:].max(0))
        # The last window begins before the one before it has ended, so that steps may go back in time, or share one.
        time_S, place_S = np.unique(regions.time_R.reshape(steps, -1)[:, 0], return_inverse=True)
        hottest_SHW = [maps_SHW[place_S == place].max(0) for place in range(len(time_S))]
        return Heat(time_S, np.stack([_spread(map_HW, seen, size_hw) for map_HW in hottest_SHW]))
    time_S = np.unique(regions.time_R)
    heat_SYX = np.zeros((len(time_S), *size_hw))
    for place in np.argsort(scaled_R, kind="stable"):
        left, top, right, bottom = _pixels(regions.box_R4[place], size_hw)
        heat_SYX[np.searchsorted(time_S, regions.time_R[place]), top:bottom, left:right] = scaled_R[place]
    return Heat(time_S, heat_SYX)


def lay_over(frame_YXC: Pixels, heat_YX: Floats) -> Pixels:
    """Colour a frame by its heat; where that is 0, the frame stays as it is."""
    colour_YXC = WEAK + heat_YX[..., None] * (STRONG - WEAK)
    cover_YX1 = STRONGEST * np.clip(heat_YX, 0, 1)[..., None]
    return np.asarray(np.rint((1 - cover_YX1) * frame_YXC + cover_YX1 * colour_YXC).astype(np.uint8))


def _spread(map_HW: Floats, seen: tuple[float, ...], size_hw: tuple[int, int]) -> Floats:
    left, top, right, bottom = _pixels(np.array(seen), size_hw)
    small = Image.fromarray(map_HW.astype(np.float32))
    found = np.zeros(size_hw)
    large = small.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    found[top:bottom, left:right] = np.clip(np.asarray(large), 0, 1)
    return found


def _pixels(box_4: Floats, size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """The pixels that a box covers, at least one: left, top, and the ends right and bottom."""
    height, width = size_hw
    sides = np.rint(box_4 * [width, height, width, height]).astype(int)
    left, top = np.clip(sides[:2], 0, [width - 1, height - 1]).tolist()
    right, bottom = np.clip(sides[2:], [left + 1, top + 1], [width, height]).tolist()
    return left, top, right, bottom
