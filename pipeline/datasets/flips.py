"""What becomes of a class when its clips are mirrored, told from the names of the classes.

Mirroring swaps left and right, and so the label of a clip whose class says either ("Pushing something from left to
right"). Other words whose meaning a mirror changes, such as `clockwise`, are not known here: who trains on such classes
sets flips to 0.
"""

import re
from collections.abc import Sequence

# Left and right as words or as parts of words such as `leftwards`, in names of any style: `turn_left`, `TurnLeft`.
WORD = re.compile(
    r"(?<![A-Za-z])(left|right|LEFT|RIGHT|Left|Right)(?=(?:most|wards?|hande[dr])?(?![a-z]))"
    r"|(Left|Right)(?![a-z])"
)
OTHER = {"left": "right", "right": "left"}
# "right out of" is no direction, and "left behind" none either: a mirror leaves such classes as they are.
NO_DIRECTION = re.compile(r"\bright[ _-](?:out|after|away|before|next)\b|\bleft[ _-](?:behind|alone|over)\b", re.I)


def mirrored_name(name: str) -> str:
    """The name of a class with left and right swapped, wherever they are words of their own."""
    return WORD.sub(lambda found: _in_case_of(found[0], OTHER[found[0].lower()]), name)


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
    return " ".join(name.casefold().split())
