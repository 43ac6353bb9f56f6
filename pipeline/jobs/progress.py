"""Report the progress of long work: lines in the job's log, which people, the terminal's lines and `status` read."""

import logging
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")

SECONDS_BEFORE_FIRST_LINE = 1.0
SECONDS_BETWEEN_LINES = 5.0

LINE = re.compile(r"(?P<label>.+): (?P<done>\d+) of (?P<total>\d+) \(\d+ %\), (?P<pace>[^,]+), (?P<left>\d+) s left")
# What a training says at the end of an epoch, as in "train_captioner: epoch 3 of 30: loss 1.234 ..., 12.5 s".
EPOCH = re.compile(r"(?P<label>\w+): epoch (?P<done>\d+) of (?P<total>\d+)\b.*, (?P<seconds>\d+\.\d) s")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """What a line of a log tells of the work.

    Attributes:
        label: What is done, such as `decode_frames`.
        done: How many pieces are done.
        total: How many there are.
        pace: How fast it goes, such as "31.2/s" or "12 s each".
        seconds_left: How long the rest takes at this pace.
    """

    label: str
    done: int
    total: int
    pace: str
    seconds_left: float

    def words(self) -> str:
        """The same for a terminal, as in "120 of 600 (20 %), 31.2/s, 15 s left"."""
        percent = 100 * self.done // self.total
        return f"{self.done} of {self.total} ({percent} %), {self.pace}, {duration(self.seconds_left)} left"


def track(items: Iterable[Item], total: int, label: str, before: int = 0) -> Iterator[Item]:
    """Yield `items`, reporting how many are done, the rate and the time left: after a second, then every five.

    Args:
        items: The pieces of work that are left.
        total: Number of items.
        label: Beginning of the line, as in "decode_frames: 120 of 600 (20 %), 31.2/s, 15 s left".
        before: How many pieces an earlier call has done; they are counted as done, and not in the rate.
    """
    start = time.monotonic()
    next_line = start + SECONDS_BEFORE_FIRST_LINE
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now >= next_line:
            next_line = now + SECONDS_BETWEEN_LINES
            each = (now - start) / done
            so_far, of = before + done, before + total
            percent, left = 100 * so_far // of, (total - done) * each
            log.info("%s: %d of %d (%d %%), %s, %.0f s left", label, so_far, of, percent, pace(each), left)
    seconds = time.monotonic() - start
    log.info("%s: %d of %d done in %.1f s", label, done, total, seconds)


def told_by(text: str) -> Told | None:
    """What the last line of a text that tells of progress says; None if none does.

    Args:
        text: The end of a log; its first line may be cut.
    """
    for line in reversed(text.splitlines()):
        if found := LINE.fullmatch(line):
            return Told(found["label"], int(found["done"]), int(found["total"]), found["pace"], float(found["left"]))
        if found := EPOCH.fullmatch(line):
            done, total, seconds = int(found["done"]), int(found["total"]), float(found["seconds"])
            return Told(f"{found['label']}, epochs", done, total, pace(seconds), (total - done) * seconds)
    return None


def pace(seconds_each: float) -> str:
    """How fast pieces of work follow one another: "31.2/s", or "12 s each" where one takes more than a second."""
    if seconds_each > 1:
        return f"{duration(seconds_each)} each"
    return f"{1 / seconds_each:.3g}/s" if seconds_each > 0 else "at once"


def duration(seconds: float) -> str:
    """A length of time with one or two units: "15 s", "2 min", "3 h 20 min", "2 d 4 h"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
