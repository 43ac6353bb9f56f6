"""Draw digits as a hand might: ten skeletons of strokes, with jitter, slant, size, turn and thickness of the pen.

They stand in for MNIST where nothing may be downloaded: 28 x 28 pixels, white on black, in the middle 20 x 20 or so,
with smooth borders.

Shapes: V variants, S pieces of strokes, P points of a stroke, 2 for x and y; 28 rows and columns.
"""

import numpy as np
from numpy.typing import NDArray

SIDE = 28
INK = 20  # pixels that the height of a digit takes, about

Floats = NDArray[np.float64]


def _arc(x: float, y: float, radius_x: float, radius_y: float, first: float, last: float, points: int = 14) -> Floats:
    """Points on an ellipse; angles in quarter turns, clockwise as it is seen, from the right."""
    angle = np.linspace(first, last, points) * np.pi / 2
    return np.stack([x + radius_x * np.cos(angle), y + radius_y * np.sin(angle)], axis=1)


def _line(*points: tuple[float, float]) -> Floats:
    """A polyline whose pieces are halved, so that they bend."""
    ends = np.array(points)
    middles = (ends[:-1] + ends[1:]) / 2
    return np.concatenate([np.stack([ends[:-1], middles], axis=1).reshape(-1, 2), ends[-1:]])


# The strokes of each digit in a square from 0 to 1, y downwards.
STROKES: tuple[tuple[Floats, ...], ...] = (
    (_arc(0.5, 0.5, 0.3, 0.45, 0, 4, 22),),
    (_line((0.32, 0.27), (0.52, 0.05), (0.52, 0.95)),),
    (np.concatenate([_arc(0.5, 0.3, 0.29, 0.25, -2.1, 0.5), _line((0.6, 0.58), (0.2, 0.95), (0.83, 0.95))]),),
    (np.concatenate([_arc(0.45, 0.27, 0.28, 0.22, -1.9, 1), _arc(0.45, 0.71, 0.33, 0.24, -1, 1.9)]),),
    (_line((0.6, 0.05), (0.17, 0.63), (0.86, 0.63)), _line((0.66, 0.36), (0.66, 0.95))),
    (_line((0.8, 0.06), (0.31, 0.06), (0.27, 0.46)), _arc(0.46, 0.66, 0.34, 0.28, -1.65, 1.7)),
    (np.concatenate([_line((0.66, 0.05), (0.34, 0.35)), _arc(0.5, 0.69, 0.28, 0.26, -2.3, 2.0, 18)]),),
    (_line((0.18, 0.07), (0.82, 0.07), (0.4, 0.95)),),
    (_arc(0.5, 0.27, 0.25, 0.22, 1, 5, 18), _arc(0.5, 0.72, 0.31, 0.23, -1, 3, 18)),
    (_arc(0.48, 0.31, 0.27, 0.25, 0, 4, 18), _line((0.75, 0.31), (0.7, 0.62), (0.56, 0.95))),
)


def draw_digits(digit: int, variants: int, seed: int) -> NDArray[np.uint8]:
    """Draw variants of one digit, all different.

    Args:
        digit: 0 to 9.
        variants: How many.
        seed: Seed of the draw; a digit's variants do not depend on those of others.

    Returns:
        Grey, u1 `[V, 28, 28]`.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, 2**32 + digit]))
    pieces_S22 = np.concatenate([np.stack([stroke[:-1], stroke[1:]], axis=1) for stroke in STROKES[digit]])
    points_VP2 = _bent(pieces_S22.reshape(-1, 2), variants, rng)
    thickness_V = rng.uniform(1.7, 3.4, variants)
    distance_VYX = _distances(points_VP2.reshape(variants, -1, 2, 2))
    ink_VYX = np.clip(thickness_V[:, None, None] / 2 + 0.5 - distance_VYX, 0, 1)
    drawn: NDArray[np.uint8] = np.rint(ink_VYX * 255).astype(np.uint8)
    return drawn


def _bent(points_P2: Floats, variants: int, rng: np.random.Generator) -> Floats:
    """Bend, scale, slant, turn and shift a digit's points, in each variant otherwise, to pixels: `[V, P, 2]`."""
    wave_V42 = rng.uniform(-1, 1, (variants, 4, 2))
    x_P, y_P = points_P2.T - 0.5
    phases_4P = np.stack([np.sin(4 * x_P), np.cos(5 * y_P), np.sin(6 * y_P), np.cos(7 * x_P)])
    x_VP, y_VP = np.moveaxis(np.array([x_P, y_P]).T + 0.025 * np.einsum("vkc,kp->vpc", wave_V42, phases_4P), -1, 0)
    width_V, height_V = rng.uniform(0.75, 1.1, variants), rng.uniform(0.85, 1.05, variants)
    slant_V, turn_V = rng.uniform(-0.15, 0.35, variants), rng.uniform(-0.15, 0.15, variants)
    x_VP, y_VP = x_VP * width_V[:, None] - y_VP * slant_V[:, None], y_VP * height_V[:, None]
    cos_V1, sin_V1 = np.cos(turn_V)[:, None], np.sin(turn_V)[:, None]
    turned_VP2 = np.stack([cos_V1 * x_VP - sin_V1 * y_VP, sin_V1 * x_VP + cos_V1 * y_VP], axis=-1)
    middle_V12 = (turned_VP2.max(1, keepdims=True) + turned_VP2.min(1, keepdims=True)) / 2
    shift_V12 = rng.uniform(-0.8, 0.8, (variants, 1, 2))
    pixels_VP2: Floats = (turned_VP2 - middle_V12) * INK + SIDE / 2 + shift_V12
    return pixels_VP2


def _distances(pieces_VS22: Floats) -> Floats:
    """Distance of every pixel's middle from the nearest piece of a stroke, in pixels, `[V, 28, 28]`."""
    middle = np.arange(SIDE) + 0.5
    nearest_VYX = np.full((len(pieces_VS22), SIDE, SIDE), np.inf)
    for (x0_V, y0_V), (x1_V, y1_V) in np.transpose(pieces_VS22, (1, 2, 3, 0)):
        along_x, along_y = (x1_V - x0_V)[:, None, None], (y1_V - y0_V)[:, None, None]
        to_x, to_y = middle - x0_V[:, None, None], middle[:, None] - y0_V[:, None, None]
        share = np.clip((to_x * along_x + to_y * along_y) / (along_x**2 + along_y**2 + 1e-12), 0, 1)
        square = (to_x - share * along_x) ** 2 + (to_y - share * along_y) ** 2
        np.minimum(nearest_VYX, square, out=nearest_VYX)
    distance_VYX: Floats = np.sqrt(nearest_VYX)
    return distance_VYX
