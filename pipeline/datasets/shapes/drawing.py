"""Draw the pixels of the generated videos: a textured, noisy background and anti-aliased shapes.

An object's shape is a signed distance (negative inside, in units of the radius) over a square from -1 to 1, y down. The
share of a pixel that it covers is 0.5 minus that distance in pixels, clipped to [0, 1]. Made for this project.

Shapes: T frames, H height, W width, C = 3 colours, P side of the patch around an object in pixels.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.shapes.scenes import Body, Scene

Floats = NDArray[np.floating[Any]]

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 175, 60),
    "blue": (50, 80, 230),
    "yellow": (245, 220, 50),
    "purple": (150, 50, 190),
    "orange": (245, 140, 30),
    "white": (245, 245, 245),
    "black": (15, 15, 15),
    "cyan": (60, 215, 225),
}
COLOUR_JITTER = 12  # of 255, either way
BACKGROUND = (85, 150)  # range of the mean grey: neither white nor black
TEXTURE = 22  # amplitude of the waves, of 255


def distance(shape: str, u: Floats, v: Floats) -> Floats:
    """Signed distance to a shape's outline, in radii: negative inside.

    Args:
        shape: One of `EXTENTS`.
        u: Horizontal coordinates, -1 to 1 over the shape's square.
        v: Vertical coordinates, down.
    """
    across, down = np.abs(u), np.abs(v)
    signed: Floats
    match shape:
        case "circle":
            signed = np.hypot(u, v) - 1
        case "square":
            signed = np.maximum(across, down) - 0.9
        case "triangle":
            # The slanted sides go from the top (0, -1) to (1, 0.95): unit normal (1.95, -1) / 2.19.
            signed = np.maximum((1.95 * across - v - 1) / 2.19, v - 0.95)
        case "star":
            signed = _star(u, v)
        case "cross":
            signed = np.maximum(np.maximum(across, down) - 1, np.minimum(across, down) - 0.3)
        case "diamond":
            # Narrow, so that it is no square on its corner: across / 0.65 + down = 1, unit normal (1, 0.65) / 1.193.
            signed = (across + 0.65 * down - 0.65) / 1.193
        case "ring":
            signed = np.abs(np.hypot(u, v) - 0.75) - 0.25
        case "crescent":
            signed = np.maximum(np.hypot(u, v) - 1, 0.8 - np.hypot(u - 0.5, v))
        case _:
            raise ValueError(f"shape {shape!r} is none of {', '.join(EXTENTS)}")
    return signed


def _star(u: Floats, v: Floats) -> Floats:
    """Signed distance of a five-pointed star: folded onto one tenth of the turn, its outline is a straight line."""
    tenth = math.pi / 5
    angle = np.abs((np.arctan2(u, -v) + tenth) % (2 * tenth) - tenth)
    rho = np.hypot(u, v)
    # From a point at (1, 0) to the notch beside it, 0.42 from the centre.
    notch_x, notch_y = 0.42 * math.cos(tenth), 0.42 * math.sin(tenth)
    length = math.hypot(notch_y, 1 - notch_x)
    signed: Floats = ((rho * np.cos(angle) - 1) * notch_y + rho * np.sin(angle) * (1 - notch_x)) / length
    return signed


# Left, top, right and bottom of each shape, in radii from the centre.
EXTENTS: dict[str, tuple[float, float, float, float]] = {
    "circle": (-1, -1, 1, 1),
    "square": (-0.9, -0.9, 0.9, 0.9),
    "triangle": (-1, -1, 1, 0.95),
    "star": (-0.951, -1, 0.951, 0.809),
    "cross": (-1, -1, 1, 1),
    "diamond": (-0.65, -1, 0.65, 1),
    "ring": (-1, -1, 1, 1),
    "crescent": (-1, -1, 0.61, 1),
}


def boxes_of(body: Body, width: int, height: int) -> list[list[float] | None]:
    """Box of an object in every frame: x1, y1, x2, y2 in [0, 1] of the frame; None where it is not visible."""
    left, top, right, bottom = EXTENTS[body.shape]
    path = body.path
    x_T, y_T, radius_T = path.centres[:, 0], path.centres[:, 1], path.radii
    sides = [
        (x_T + left * radius_T) / width,
        (y_T + top * radius_T) / height,
        (x_T + right * radius_T) / width,
        (y_T + bottom * radius_T) / height,
    ]
    box_T4 = np.clip(np.stack(sides, axis=1), 0, 1).round(4)
    return [box if visible else None for box, visible in zip(box_T4.tolist(), path.visible, strict=True)]


def make_noise_tile(noise: float, side: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Draw a tile of pixel noise, [side, side, 3], of which every frame cuts its own part.

    Drawing noise anew for every frame would take most of the time.
    """
    return np.rint(rng.normal(0, noise, (side, side, 3))).astype(np.int16)


def render(scene: Scene, noise_tile: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a clip.

    Args:
        scene: Objects, their paths, and the size and length of the clip.
        noise_tile: From `make_noise_tile`, larger than the frame in both directions.
        rng: Source of the background, the places in the noise tile, and the shades of the colours.

    Returns:
        RGB frames, [T, H, W, 3].
    """
    background_HWC = _background(scene.width, scene.height, rng)
    frames_THWC = np.repeat(background_HWC[None], scene.num_frames, axis=0)
    for body in reversed(scene.bodies):  # the acting object passes in front
        shade = np.array(COLOURS[body.colour]) + rng.uniform(-COLOUR_JITTER, COLOUR_JITTER, 3)
        _paint(frames_THWC, body, shade.astype(np.float32))
    top_T = rng.integers(0, noise_tile.shape[0] - scene.height + 1, scene.num_frames)
    left_T = rng.integers(0, noise_tile.shape[1] - scene.width + 1, scene.num_frames)
    pixels_THWC = frames_THWC.astype(np.int16)
    for pixels_HWC, top, left in zip(pixels_THWC, top_T, left_T, strict=True):
        pixels_HWC += noise_tile[top : top + scene.height, left : left + scene.width]
    return np.clip(pixels_THWC, 0, 255, out=pixels_THWC).astype(np.uint8)


def _background(width: int, height: int, rng: np.random.Generator) -> Floats:
    """Draw a tinted grey with four slow plane waves of any direction, [H, W, 3]."""
    grey = rng.uniform(*BACKGROUND) + rng.uniform(-10, 10, 3)
    x_W, y_H = np.arange(width) / min(width, height), np.arange(height) / min(width, height)
    waves_HW = np.zeros((height, width))
    for _ in range(4):
        angle, turns = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 4)
        phase_HW = turns * (np.cos(angle) * x_W[None, :] + np.sin(angle) * y_H[:, None]) + rng.random()
        waves_HW += rng.uniform(0.2, 0.5) * np.sin(2 * np.pi * phase_HW)
    strength = rng.uniform(0.3, 1) * TEXTURE * rng.uniform(0.8, 1.2, 3)
    return (grey + waves_HW[..., None] * strength).astype(np.float32)


def _paint(frames_THWC: Floats, body: Body, shade: Floats) -> None:
    """Paint an object into all the frames, each time only into the patch around it."""
    path = body.path
    height, width = frames_THWC.shape[1:3]
    radius_T11 = path.radii.astype(np.float32)[:, None, None]
    reach_T = np.ceil(path.radii).astype(int) + 1
    corner_T2 = np.floor(path.centres).astype(int) - reach_T[:, None]
    side = 2 * int(reach_T.max()) + 2
    step_P = np.arange(side, dtype=np.float32) + 0.5
    offset_T2 = (corner_T2 - path.centres).astype(np.float32)
    u_T1P = (step_P[None, None, :] + offset_T2[:, 0, None, None]) / radius_T11
    v_TP1 = (step_P[None, :, None] + offset_T2[:, 1, None, None]) / radius_T11
    u_TPP, v_TPP = np.broadcast_arrays(u_T1P, v_TP1)
    cover_TPP = np.clip(0.5 - distance(body.shape, u_TPP, v_TPP) * radius_T11, 0, 1)
    for frame_HWC, cover_PP, (x, y), visible in zip(
        frames_THWC, cover_TPP, corner_T2.tolist(), path.visible, strict=True
    ):
        if visible:
            x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
            patch = frame_HWC[y0:y1, x0:x1]
            patch += cover_PP[y0 - y : y1 - y, x0 - x : x1 - x, None] * (shade - patch)
