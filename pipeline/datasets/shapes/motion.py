"""Draw how the objects of the generated videos move, grow and blink.

What an object does shows over time alone: one that moves left passes the same places as one that moves
right, and one that grows has the same sizes as one that shrinks. Actions are slow enough to show in eight frames spread
over a clip. Units are pixels, y down; time runs from 0 (first frame) to 1 (last). Made for this project.

Shapes: T frames, 2 = x, y.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Floats = NDArray[np.float64]

GROWTH = 1.6  # half of the change in size, as a factor: 1.6 ** 2 = 2.56 from end to end
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
MOVES = {f"moves {direction}": direction for direction in DIRECTIONS}


@dataclass(frozen=True)
class Room:
    """A rectangle of the frame, in pixels, that an object does not leave."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.bottom - self.top

    def shrunk(self, margin: float) -> "Room":
        """The part of the room where the centre of an object of radius `margin` may be; it is at least one point."""
        across, down = min(margin, self.width / 2), min(margin, self.height / 2)
        return Room(self.left + across, self.top + down, self.right - across, self.bottom - down)


@dataclass(frozen=True)
class Path:
    """Where an object is in every frame.

    Attributes:
        centres: Centre of the object, in pixels, [T, 2].
        radii: Half the side of the square that the object is drawn in, in pixels, [T].
        visible: Whether the object is drawn, [T].
    """

    centres: Floats
    radii: Floats
    visible: NDArray[np.bool_]


def draw_path(action: str, time_T: Floats, room: Room, radius: float, rng: np.random.Generator) -> Path:
    """Draw one performance of an action. Starts, lanes, speeds and phases differ; the object stays in the room.

    Args:
        action: One of `ACTION_PHRASES` of `pipeline.datasets.shapes.captions`.
        time_T: Times of the frames, from 0 to 1, [T].
        room: Where the object has to stay.
        radius: Half of the object's usual diameter, in pixels; it is made smaller where the room is too small.
        rng: Source of all the differences.
    """
    largest = GROWTH if action in {"grows", "shrinks", "pulses"} else 1.0
    radius = min(radius, 0.48 * min(room.width, room.height) / largest)
    radius_T = radius * _scale(action, time_T, rng)
    free = room.shrunk(radius * largest)
    visible_T = np.ones(len(time_T), dtype=bool)
    if action == "blinks":
        visible_T = (3 * time_T + rng.random()) % 1 < 0.5
    return Path(_centres(action, time_T, free, rng), radius_T, visible_T)


def _scale(action: str, time_T: Floats, rng: np.random.Generator) -> Floats:
    match action:
        case "grows":
            exponent_T = 2 * time_T - 1
        case "shrinks":
            exponent_T = 1 - 2 * time_T
        case "pulses":
            exponent_T = np.sin(2 * np.pi * (2.5 * time_T + rng.random()))
        case _:
            exponent_T = np.zeros_like(time_T)
    return np.power(GROWTH, exponent_T)


def _centres(action: str, time_T: Floats, free: Room, rng: np.random.Generator) -> Floats:
    """Draw the centres of the object, [T, 2], inside `free`."""
    if action in MOVES:
        return _along(MOVES[action], time_T, free, rng)
    match action:
        case "stops half-way":
            going_T = np.minimum(time_T / rng.uniform(0.40, 0.55), 1) / 2
            return _along(_long_direction(free, rng), going_T, free, rng)
        case "turns back":
            return _along(choice(rng, ["left", "right"]), 1 - np.abs(1 - 2 * time_T), free, rng)
        case "zigzags":
            line_T2 = _along(choice(rng, ["left", "right"]), time_T, free, rng)
            line_T2[:, 1] = free.top + free.height * _triangle_wave(2.5 * time_T + rng.random())
            return line_T2
        case "bounces":
            hops_T = np.abs(np.sin(np.pi * (rng.uniform(3, 3.1) * time_T + rng.random())))
            x = free.left + free.width * (rng.uniform(0.1, 0.9) + rng.uniform(-0.1, 0.1) * (time_T - 0.5))
            return np.stack([x, free.bottom - rng.uniform(0.75, 1) * free.height * hops_T], axis=1)
        case "circles":
            return _orbit(time_T, free, rng)
        case _:
            return np.tile([rng.uniform(free.left, free.right), rng.uniform(free.top, free.bottom)], (len(time_T), 1))


def _along(direction: str, going_T: Floats, free: Room, rng: np.random.Generator) -> Floats:
    """Draw a straight way through most of the room, [T, 2]; `going_T` is the share of it that is done, from 0 to 1."""
    step = np.array(DIRECTIONS[direction], dtype=float)
    low, high = np.array([free.left, free.top]), np.array([free.right, free.bottom])
    middle = low + (high - low) * rng.uniform(0, 1, 2)
    length = rng.uniform(0.85, 1) * (high - low)
    middle = np.where(step != 0, low + length / 2 + (high - low - length) * rng.random(), middle)
    points_T2: Floats = middle + step * length * (going_T[:, None] - 0.5)
    return points_T2


def _orbit(time_T: Floats, free: Room, rng: np.random.Generator) -> Floats:
    """Draw more than a whole turn, [T, 2], either way round, on a circle that is flat only where the room is narrow."""
    across, down = free.width / 2, free.height / 2
    across, down = min(across, 1.5 * down), min(down, 1.5 * across)
    across, down = rng.uniform(0.85, 1) * across, rng.uniform(0.85, 1) * down
    centre = [rng.uniform(free.left + across, free.right - across), rng.uniform(free.top + down, free.bottom - down)]
    angle_T = 2 * np.pi * (rng.random() + choice(rng, [-1, 1]) * rng.uniform(1.25, 1.75) * time_T)
    return np.stack([centre[0] + across * np.cos(angle_T), centre[1] + down * np.sin(angle_T)], axis=1)


def _long_direction(free: Room, rng: np.random.Generator) -> str:
    """Draw any direction in a roomy place, or one along the long side where the other is too short to see a stop."""
    if min(free.width, free.height) < 0.8 * max(free.width, free.height):
        return choice(rng, ["left", "right"] if free.width > free.height else ["up", "down"])
    return choice(rng, list(DIRECTIONS))


def _triangle_wave(phase_T: Floats) -> Floats:
    return np.abs(2 * (phase_T % 1) - 1)


def choice(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    """Draw one of the items and give it as it is; numpy's own `choice` turns strings and tuples into arrays."""
    return items[int(rng.integers(len(items)))]
