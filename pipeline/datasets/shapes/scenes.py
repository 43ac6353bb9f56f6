"""Draw the scenes of the generated videos: which objects are where, and in what kind of file.

A scene is drawn from its own random generator, seeded by the data set's seed and the video's id, so that clips can be
made in any order, in any number of shards, and again. Units are pixels, y down. Made for this project.

Shapes: T frames.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pipeline.config import ShapesSettings
from pipeline.datasets.shapes.motion import MOVES, Floats, Path, Room, choice, draw_path
from pipeline.errors import PipelineError

Pair = tuple[str, str]  # colour, shape

DIAMETER = {"small": (0.30, 0.36), "large": (0.40, 0.48)}  # of the frame's short side
SCALE_OF_TWO = 0.75  # factor on the radius of objects that share a frame
SIDEWAYS = {"moves left", "moves right", "zigzags", "turns back"}
UPRIGHT = {"moves up", "moves down", "bounces"}


@dataclass(frozen=True)
class Body:
    """One object of a scene; `action` is None for the second object, which stands still."""

    colour: str
    shape: str
    size: str
    action: str | None
    path: Path


@dataclass(frozen=True)
class Scene:
    """One clip. The first body is the acting one; `relation` is its place relative to the second, if there is one."""

    width: int
    height: int
    fps: Fraction
    num_frames: int
    container: str
    bodies: tuple[Body, ...]
    relation: str | None


def plan_videos(settings: ShapesSettings) -> dict[str, str]:
    """Map the id of each video to its split, in order. An id does not depend on how many other videos there are."""
    counts = {"train": settings.clips.train, "val": settings.clips.val, "test": settings.clips.test}
    return {f"{split}-{number:05d}": split for split, count in counts.items() for number in range(count)}


def largest_side(settings: ShapesSettings) -> int:
    """Longest side of any frame, in pixels."""
    return max(max(_frame_size(*kind)) for kind in itertools.product(settings.short_sides, settings.aspects))


def random_of(seed: int, name: str) -> np.random.Generator:
    """Make the random generator of one video (or of anything else with a name)."""
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")])


def choose_held_out_pairs(settings: ShapesSettings) -> list[Pair]:
    """Choose the colour-shape pairs that occur in the test split alone, spread evenly over colours and shapes.

    Raises:
        PipelineError: if there are so many that a colour or a shape would not be seen in training.
    """
    rng = random_of(settings.seed, "held-out pairs")
    pairs = [(str(colour), str(shape)) for colour in settings.colours for shape in settings.shapes]
    ranks = {pair: rank for rank, pair in zip(rng.permutation(len(pairs)).tolist(), pairs, strict=True)}
    chosen: list[Pair] = []

    def uses(pair: Pair) -> tuple[int, int]:
        return sum(pair[0] == colour for colour, _ in chosen), sum(pair[1] == shape for _, shape in chosen)

    for _ in range(settings.held_out_pairs):
        left = [
            pair
            for pair in pairs
            if pair not in chosen
            and uses(pair)[0] < len(settings.shapes) - 1
            and uses(pair)[1] < len(settings.colours) - 1
        ]
        if not left:
            raise PipelineError(
                f"make_shapes: held_out_pairs is {settings.held_out_pairs}, but after {len(chosen)} pairs of "
                f"{len(settings.colours)} colours and {len(settings.shapes)} shapes the next would hide a colour or a "
                f"shape from training; set it to at most {len(chosen)}"
            )
        chosen.append(min(left, key=lambda pair: (sum(uses(pair)), max(uses(pair)), ranks[pair])))
    return sorted(chosen)


def draw_scene(video_id: str, split: str, held_out: Sequence[Pair], settings: ShapesSettings) -> Scene:
    """Draw everything about one clip but its pixels and words.

    Args:
        video_id: Id of the video; seeds the draw, with `settings.seed`.
        split: Its split; only "test" draws held-out pairs.
        held_out: Colour-shape pairs that the other splits must not show.
        settings: The data set's settings.

    Raises:
        PipelineError: if a second object is asked for and there is no second colour-shape pair.
    """
    rng = random_of(settings.seed, video_id)
    width, height = _frame_size(choice(rng, settings.short_sides), choice(rng, settings.aspects))
    fps = Fraction(choice(rng, settings.fps)).limit_denominator(1001)
    num_frames = max(2, round(rng.uniform(*settings.seconds) * fps))
    chance = rng.random()
    container = "webm" if chance < settings.webm else "avi" if chance < settings.webm + settings.avi else "mp4"
    pairs = list(itertools.product(settings.colours, settings.shapes))
    shown = [pair for pair in pairs if split == "test" or pair not in held_out]
    action, time_T = choice(rng, settings.actions), np.linspace(0, 1, num_frames)
    frame = Room(0, 0, width, height)
    relation = choice(rng, relations_of(action, frame)) if rng.random() < settings.two_objects else None
    if relation is None:
        size, radius = _draw_size(frame, rng)
        path = draw_path(action, time_T, frame, radius, rng)
        bodies: tuple[Body, ...] = (Body(*choice(rng, shown), size, action, path),)
    else:
        bodies = _draw_two(shown, action, relation, time_T, frame, rng)
    return Scene(width, height, fps, num_frames, container, bodies, relation)


def _draw_two(
    pairs: Sequence[Pair], action: str, relation: str, time_T: Floats, frame: Room, rng: np.random.Generator
) -> tuple[Body, Body]:
    """Draw the acting object, and one that stands still in its own place, of another colour if there is one."""
    first = choice(rng, pairs)
    others = [pair for pair in pairs if pair[0] != first[0]] or [pair for pair in pairs if pair != first]
    if not others:
        raise PipelineError(
            f"make_shapes: two objects are asked for, but colours and shapes leave the {' '.join(first)} alone: "
            "add a colour, or set two_objects to 0"
        )
    room, other_room = split_frame(relation, frame)
    size, radius = _draw_size(frame, rng)
    path = draw_path(action, time_T, room, SCALE_OF_TWO * radius, rng)
    other_size, other_radius = _draw_size(frame, rng)
    other_radius *= SCALE_OF_TWO
    if relation == "past":  # the other object stands in the middle of the way
        x, y = path.centres.mean(axis=0)
        other_radius = min(other_radius, x, y, frame.right - x, frame.bottom - y)
        other_room = Room(x - other_radius, y - other_radius, x + other_radius, y + other_radius)
    other_path = draw_path("stays still", time_T, other_room, other_radius, rng)
    return Body(*first, size, action, path), Body(*choice(rng, others), other_size, None, other_path)


def _draw_size(frame: Room, rng: np.random.Generator) -> tuple[str, float]:
    """Draw the size class of an object, and its radius in pixels."""
    size = choice(rng, list(DIAMETER))
    return size, rng.uniform(*DIAMETER[size]) * min(frame.width, frame.height) / 2


def relations_of(action: str, frame: Room) -> list[str]:
    """Relations that leave an action room enough: both parts of the frame keep its length along the action's way."""
    beside = (["left of", "right of"], ["above", "below"])
    if action in SIDEWAYS:
        relations = beside[1]
    elif action in UPRIGHT:
        relations = beside[0]
    else:
        relations = beside[frame.height > frame.width] if frame.width != frame.height else beside[0] + beside[1]
    return [*relations, "past"] if action in MOVES else relations


def split_frame(relation: str, frame: Room) -> tuple[Room, Room]:
    """The part of the frame for the acting object and the part for the other; for `past` each has the whole frame."""
    cut_x, cut_y = 0.57 * frame.width, 0.57 * frame.height
    match relation:
        case "left of":
            return Room(0, 0, cut_x, frame.bottom), Room(cut_x, 0, frame.right, frame.bottom)
        case "right of":
            return Room(frame.right - cut_x, 0, frame.right, frame.bottom), Room(
                0, 0, frame.right - cut_x, frame.bottom
            )
        case "above":
            return Room(0, 0, frame.right, cut_y), Room(0, cut_y, frame.right, frame.bottom)
        case "below":
            return Room(0, frame.bottom - cut_y, frame.right, frame.bottom), Room(
                0, 0, frame.right, frame.bottom - cut_y
            )
        case _:
            return frame, frame


def _frame_size(short_side: int, aspect: str) -> tuple[int, int]:
    """Width and height, both even as 4:2:0 video needs them."""
    across, down = (float(part) for part in aspect.split(":"))
    scale = short_side / min(across, down)
    return 2 * round(across * scale / 2), 2 * round(down * scale / 2)
