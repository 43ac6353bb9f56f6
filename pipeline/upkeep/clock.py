"""Artifacts that are newer than now, as they are after the clock was moved back.

If an output is older than its input, Snakemake concludes that clocks differ: it fails the job ("Output X has older
modification time (...) than input Y") and deletes the output. After the clock was moved back, every job that reads an
artifact from before would end like that, until the clock has caught up.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pipeline.upkeep.inventory import Inventory

STEP_NS = 1_000  # kept between times that differed; Snakemake reads times as floats, which tell microseconds apart


def ahead_of_now(inventory: Inventory) -> dict[Path, int]:
    """Files of artifacts that are newer than now.

    Returns:
        The modification time of each, in nanoseconds since 1970, by its path.
    """
    now = time.time_ns()
    times = {}
    for found in inventory.artifacts:
        with suppress(OSError):  # a store without a root, or a file that cannot be read: verification tells of both
            times[found.file] = found.file.stat().st_mtime_ns
    return {file: changed for file, changed in times.items() if changed > now}


def bring_back(times: dict[Path, int]) -> list[Path]:
    """Set the times of files to now: the newest to this moment, others microseconds earlier, in the order they had.

    An input that was newer than what was made of it stays newer: Snakemake still makes that again.

    Args:
        times: Modification times by path, from `ahead_of_now`.

    Returns:
        The files whose times could not be changed, because another user owns them or the disk is read-only.
    """
    now = time.time_ns()
    order = sorted(set(times.values()), reverse=True)
    moved_to = {changed: now - number * STEP_NS for number, changed in enumerate(order)}
    return [file for file, changed in times.items() if not _set_time(file, moved_to[changed])]


def hours_ahead(times: Iterable[int]) -> float:
    """Hours that the newest of some times (nanoseconds since 1970) is ahead of now."""
    return (max(times) - time.time_ns()) / 3.6e12


def _set_time(file: Path, changed: int) -> bool:
    try:
        os.utime(file, ns=(changed, changed))
    except OSError:
        return False
    return True
