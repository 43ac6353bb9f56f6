"""What becomes of a class when its clips are mirrored, told from the names of the classes.

Mirroring swaps left and right, and so the label of a clip whose class says either ("Pushing something from left to
right", "Swiping Left"); and what turned clockwise turns counterclockwise ("Turning Hand Clockwise").
"""

import re
from collections.abc import Sequence

# Left and right as words or as parts of words such as `leftwards`, in names of any style: `turn_left`, `TurnLeft`.
WORD = re.compile(
    r"(?<![A-Za-z])(left|right|LEFT|RIGHT|Left|Right)(?=(?:most|wards?|handed)?(?![a-z]))"
    r"|(Left|Right)(?![a-z])"
    r"|(?<![A-Za-z])((?:(?:[Cc]ounter|[Aa]nti)[- ]?)?[Cc]lockwise)(?![a-z])"
)
OTHER = {"left": "right", "right": "left", "clockwise": "counterclockwise"}  # of all else that fits, clockwise
COUNTER = re.compile(r"(?:counter|anti)[- ]?clockwise")
# "right out of" is no direction, and "left behind" none either: a mirror leaves such classes as they are.
NO_DIRECTION = re.compile(r"\bright[ _-](?:out|after|away|before|next)\b|\bleft[ _-](?:behind|alone|over)\b", re.I)


def mirrored_name(name: str) -> str:
    """The name of a class with left and right, and the ways to turn, swapped wherever they are words of their own."""
    return WORD.sub(lambda found: _in_case_of(found[0], OTHER.get(found[0].lower(), "clockwise")), name)


def _in_case_of(word: str, other: str) -> str:
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other


def flip_map(names: Sequence[str]) -> list[int] | None:
    """Number of the class that each class becomes when its clips are mirrored.

    Args:
        names: Names of the classes, in the order of their numbers.

    Returns:
        A map that is its own inverse; most classes stay what they are. None if clips must not be mirrored, because a
        class has a direction and the opposite one is no class (`without_partner`).
    """
    if without_partner(names):
        return None
    numbers = {_key(name): number for number, name in enumerate(names)}
    return [numbers.get(_key(mirrored_name(name)), number) for number, name in enumerate(names)]


def without_partner(names: Sequence[str]) -> list[str]:
    """The classes that have a direction whose opposite is no class, as `Pulling left` where nothing is pulled right."""
    known = {_key(name) for name in names}
    return [name for name in names if _key(mirrored_name(name)) not in known and not NO_DIRECTION.search(name)]


def _key(name: str) -> str:
    return COUNTER.sub("counterclockwise", " ".join(name.casefold().split()))
