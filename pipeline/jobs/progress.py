"""Progress of long work, as a line on stderr every few seconds: readable in a terminal and in a log file alike."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 5.0


def track(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield `items`, reporting how many of `total` are done, the rate and the time left.

    Args:
        items: What is worked through.
        total: How many there are.
        label: What they are, as in "decode_frames: 120 of 600 (20 %), 31.2/s, 15 s left".
    """
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            rate = done / (now - start)
            left = (total - done) / rate
            print(
                f"{label}: {done} of {total} ({100 * done // total} %), {rate:.3g}/s, {left:.0f} s left",
                file=sys.stderr,
            )
    seconds = time.monotonic() - start
    print(f"{label}: {done} of {total} done in {seconds:.1f} s", file=sys.stderr)


def say(text: str) -> None:
    """Print to the job's log."""
    print(text, file=sys.stderr)
