"""The part of a video file that a clip is, where it is not the whole file."""

import math
from dataclasses import dataclass
from decimal import Decimal

# Seconds. Containers round time stamps, Matroska to milliseconds: a frame counts as shown that much later than it says,
# so that of two intervals that meet each frame is in exactly one.
TIME_TOLERANCE = 1e-3
MICROSECONDS = 1_000_000  # FFmpeg's unit for times of a whole container


@dataclass(frozen=True)
class Interval:
    """Seconds of a video file, counted from where players begin it.

    Attributes:
        start: The first instant that belongs to it, at least 0.
        stop: The first instant that does not, after `start`; None for the end of the file.

    Raises:
        ValueError: if `start` or `stop` is not such a number; the message says what is wrong.
    """

    start: float = 0.0
    stop: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("start", self.start), ("stop", self.stop)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"`{name}` is {value:g}: expected seconds from the file's beginning, 0 or more")
        if self.stop is not None and self.start >= self.stop:
            raise ValueError(f"`start` is {self.start:g} and `stop` {self.stop:g}: `stop` must come after `start`")

    def __str__(self) -> str:
        """Write it as in ids of clips: "12.5-20", or "12.5-" up to the end, with every given digit and no exponent."""
        return f"{_plain(self.start)}-{'' if self.stop is None else _plain(self.stop)}"

    def as_json(self) -> dict[str, float]:
        """The interval as an object of JSON: `start`, and `stop` if there is one."""
        return {"start": self.start} | ({} if self.stop is None else {"stop": self.stop})


def _plain(seconds: float) -> str:
    text = format(Decimal(repr(float(seconds))), "f")
    return text.removesuffix(".0")


def beginning(start_time: int | None) -> float:
    """Time at which players begin a file, in seconds of its own clock; a cut of a broadcast may begin at any hour.

    Args:
        start_time: Start time of the container in microseconds, as FFmpeg tells it; None where it tells none.
    """
    return max(start_time or 0, 0) / MICROSECONDS
