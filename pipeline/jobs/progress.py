"""Report the progress of long work: a line in the job's log every few seconds, for a terminal and a file alike."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

SECONDS_BETWEEN_LINES = 5.0

log = logging.getLogger(__name__)


def track(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """Yield `items`, reporting how many of `total` are done, the rate and the time left.

    Args:
        items: The pieces of work.
        total: Number of items.
        label: Beginning of the line, as in "decode_frames: 120 of 600 (20 %), 31.2/s, 15 s left".
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
            percent = 100 * done // total
            log.info("%s: %d of %d (%d %%), %.3g/s, %.0f s left", label, done, total, percent, rate, left)
    seconds = time.monotonic() - start
    log.info("%s: %d of %d done in %.1f s", label, done, total, seconds)
