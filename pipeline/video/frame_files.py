"""A clip that lies as numbered pictures in a folder, as Something-Something v1 is published and TSM's lists name it."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache

PATTERN = r"[^/\\%]*%(0[1-9]\d?)?d[^/\\%]*"  # one number: `%05d.jpg`, `img_%d.jpg`


@dataclass(frozen=True)
class FrameFiles:
    """Which files of a folder are the frames of a clip.

    Attributes:
        pattern: Name of a frame's file with its number, as printf writes it, such as `%05d.jpg`.
        first: Number of the first frame; None where it is 0 or 1, whichever there is.
        count: How many frames there should be; None where nobody says, and the highest number there is ends the clip.

    Raises:
        ValueError: if the pattern does not hold one number; the message says what is wrong.
    """

    pattern: str
    first: int | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(PATTERN, self.pattern):
            raise ValueError(
                f"`{self.pattern}` is no pattern of frames: expected the name of a file with one number, as `%05d.jpg`"
            )

    def name(self, number: int) -> str:
        """Name of the file of a frame."""
        return self.pattern % number

    def number(self, name: str) -> int | None:
        """Number of the frame that a file of this name is; None if it is none."""
        found = _expression(self.pattern).fullmatch(name)
        return int(found[1]) if found else None

    def numbers(self, names: Iterable[str]) -> list[int]:
        """The numbers of all the files among these that are called as frames are, sorted."""
        return sorted(number for name in names if (number := self.number(name)) is not None)

    def wanted(self, present: Collection[int]) -> range:
        """The numbers of the frames that the clip should have.

        Args:
            present: Numbers of the frames that are there.
        """
        first = self.first if self.first is not None else (0 if 0 in present else 1)
        return range(first, first + self.count if self.count is not None else max(present, default=first - 1) + 1)

    def missing(self, present: Collection[int]) -> list[int]:
        """The numbers of the frames that the clip should have and that are not there, sorted."""
        there = set(present)
        return [number for number in self.wanted(there) if number not in there]

    def as_json(self) -> dict[str, str | int]:
        """The keys of a video table: `pattern`, and `first` and `frames` (how many) where they are known."""
        return {"pattern": self.pattern} | {
            key: value for key, value in (("first", self.first), ("frames", self.count)) if value is not None
        }


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """What matches the names of frames, with the number as printf writes it: padded to a width, and no further."""
    before, width, after = re.split(r"%(?:0([1-9]\d?))?d", pattern)
    digits = rf"\d{{{width}}}|[1-9]\d{{{width},}}" if width else r"0|[1-9]\d*"
    return re.compile(f"{re.escape(before)}({digits}){re.escape(after)}", re.ASCII)
