"""The grammar of the generated captions, and a reader of such captions.

A caption is `frame + noun phrase + verb phrase (+ relation + noun phrase)`. Every slot has a usual wording and a rarer
synonym, so the captions of one video differ as those of several people do while sharing most of their n-grams. The
reader goes the other way: it finds colour, shape and action of the first-named object in any caption of the grammar,
which is how a scorer tells whether a generated caption is right. Made for this project. numpy is not imported here.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict, TypeVar

if TYPE_CHECKING:
    import numpy as np

Wording = TypeVar("Wording")
Vocabulary = Mapping[str, Mapping[str, Sequence[str]]]


class Reading(TypedDict):
    """What a caption says of its first-named object; None where it says nothing the vocabulary knows."""

    colour: str | None
    shape: str | None
    action: str | None


# The usual word comes first everywhere. No word stands for two things: the reader relies on it.
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red",),
    "green": ("green",),
    "blue": ("blue",),
    "yellow": ("yellow",),
    "purple": ("purple", "violet"),
    "orange": ("orange",),
    "white": ("white",),
    "black": ("black",),
    "cyan": ("cyan", "turquoise"),
}

SHAPE_WORDS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "ball"),
    "square": ("square", "box"),
    "triangle": ("triangle", "pyramid"),
    "star": ("star",),
    "cross": ("cross", "plus"),
    "diamond": ("diamond", "rhombus"),
    "ring": ("ring", "hoop"),
    "crescent": ("crescent", "moon"),
}

# (present, participle) pairs: "moves to the left", "moving to the left".
ACTION_PHRASES: dict[str, tuple[tuple[str, str], ...]] = {
    "moves left": (("moves to the left", "moving to the left"), ("slides to the left", "sliding to the left")),
    "moves right": (("moves to the right", "moving to the right"), ("slides to the right", "sliding to the right")),
    "moves up": (("moves up the screen", "moving up the screen"), ("rises up the screen", "rising up the screen")),
    "moves down": (
        ("moves down the screen", "moving down the screen"),
        ("sinks down the screen", "sinking down the screen"),
    ),
    "grows": (
        ("grows larger and larger", "growing larger and larger"),
        ("gets larger and larger", "getting larger and larger"),
    ),
    "shrinks": (
        ("shrinks smaller and smaller", "shrinking smaller and smaller"),
        ("gets smaller and smaller", "getting smaller and smaller"),
    ),
    "bounces": (("bounces up and down", "bouncing up and down"), ("hops up and down", "hopping up and down")),
    "circles": (
        ("circles round and round", "circling round and round"),
        ("goes round and round", "going round and round"),
    ),
    "stops half-way": (
        ("moves and stops half way", "moving and stopping half way"),
        ("slides and stops half way", "sliding and stopping half way"),
    ),
    "zigzags": (
        ("zigzags across the screen", "zigzagging across the screen"),
        ("weaves across the screen", "weaving across the screen"),
    ),
    "turns back": (
        ("moves away and comes back", "moving away and coming back"),
        ("slides away and comes back", "sliding away and coming back"),
    ),
    "pulses": (("pulses in and out", "pulsing in and out"), ("swells in and out", "swelling in and out")),
    "blinks": (("blinks on and off", "blinking on and off"), ("flashes on and off", "flashing on and off")),
    "stays still": (("stays in one place", "staying in one place"), ("rests in one place", "resting in one place")),
}

RELATION_PHRASES: dict[str, tuple[str, ...]] = {
    "above": ("above", "over"),
    "below": ("below", "under"),
    "left of": ("on the left of", "left of"),
    "right of": ("on the right of", "right of"),
    "past": ("past", "in front of"),
}

# Sentence, whether its verb is a participle, and its share. {name} is "red circle"; a participle follows "is" and
# "there is", a present form the others.
FRAMES: tuple[tuple[str, bool, float], ...] = (
    ("{a} {name} {action}", False, 0.35),
    ("{a} {name} is {action}", True, 0.35),
    ("the {name} {action}", False, 0.15),
    ("there is {a} {name} {action}", True, 0.15),
)
USUAL = 0.7  # share of the usual wording in a slot that has a synonym


def captions_of(
    colour: str, shape: str, action: str, relation: str | None = None, other: tuple[str, str] | None = None
) -> dict[str, float]:
    """Every caption that the grammar has for one content, with the caption's probability.

    Args:
        colour: Colour of the acting object, named first.
        shape: Its shape.
        action: What it does.
        relation: Where it is, relative to the other object; None where there is no other.
        other: Colour and shape of the other object.

    Returns:
        Probability of each caption; they sum to 1. Captions are in lower case and have no punctuation.
    """
    captions: dict[str, float] = {}
    places = list(_places(relation, other)) if relation is not None and other is not None else [("", 1.0)]
    slots = (FRAMES, _names(colour, shape), _weighted(ACTION_PHRASES[action]), places)
    for (frame, participle, share), (name, in_name), (phrase, in_phrase), (place, in_place) in itertools.product(
        *slots
    ):
        caption = frame.format(a=_article(name), name=name, action=phrase[participle]) + place
        captions[caption] = share * in_name * in_phrase * in_place
    return captions


def draw_captions(captions: Mapping[str, float], count: int, rng: "np.random.Generator") -> list[str]:
    """Draw `count` different captions by their probabilities.

    Raises:
        ValueError: if the grammar has fewer than `count` captions for this content.
    """
    return [
        str(caption) for caption in rng.choice(list(captions), size=count, replace=False, p=list(captions.values()))
    ]


def vocabulary(
    colours: Sequence[str], shapes: Sequence[str], actions: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """List every wording of the given contents, from which a scorer reads captions without knowing the grammar."""
    return {
        "colours": {colour: list(COLOUR_WORDS[colour]) for colour in colours},
        "shapes": {shape: list(SHAPE_WORDS[shape]) for shape in shapes},
        "actions": {action: [form for forms in ACTION_PHRASES[action] for form in forms] for action in actions},
    }


EVERYTHING = vocabulary(list(COLOUR_WORDS), list(SHAPE_WORDS), list(ACTION_PHRASES))


def read_caption(caption: str, words: Vocabulary = EVERYTHING) -> Reading:
    """Read colour, shape and action of the first-named object off a caption.

    Case, punctuation and hyphens do not matter. The first colour, shape and action that the caption names count; a
    broken or foreign caption gives None for what it does not say.

    Args:
        caption: Any text.
        words: Wordings of colours, shapes and actions, as `vocabulary` gives them.
    """
    spoken = f" {' '.join(re.findall('[a-z]+', caption.lower()))} "
    return {
        "colour": _first(spoken, words["colours"]),
        "shape": _first(spoken, words["shapes"]),
        "action": _first(spoken, words["actions"]),
    }


def _first(spoken: str, wordings: Mapping[str, Sequence[str]]) -> str | None:
    """Name of the wording that starts first in the text (of two that start together, the longer); None if none does."""
    places = ((spoken.find(f" {phrase} "), -len(phrase), name) for name, own in wordings.items() for phrase in own)
    found = [place for place in places if place[0] >= 0]
    return min(found)[2] if found else None


def _weighted(wordings: Sequence[Wording]) -> list[tuple[Wording, float]]:
    if len(wordings) == 1:
        return [(wordings[0], 1.0)]
    rest = (1 - USUAL) / (len(wordings) - 1)
    return [(wording, rest if rank else USUAL) for rank, wording in enumerate(wordings)]


def _names(colour: str, shape: str) -> Iterator[tuple[str, float]]:
    for (first, in_first), (second, in_second) in itertools.product(
        _weighted(COLOUR_WORDS[colour]), _weighted(SHAPE_WORDS[shape])
    ):
        yield f"{first} {second}", in_first * in_second


def _places(relation: str, other: tuple[str, str]) -> Iterator[tuple[str, float]]:
    for (phrase, in_phrase), (name, in_name) in itertools.product(
        _weighted(RELATION_PHRASES[relation]), _names(*other)
    ):
        yield f" {phrase} {_article(name)} {name}", in_phrase * in_name


def _article(name: str) -> str:
    return "an" if name[0] in "aeiou" else "a"
