"""Names of the shards of a data set. `pipeline.datasets.sharding` says which shard a video belongs to."""

import re
import shlex
from collections.abc import Iterable
from itertools import pairwise

SHARD = re.compile(r"(?P<before>.*/)(?P<shard>\d{3,})(?P<after>[./].*)")


def shard_names(shards: int) -> list[str]:
    """The names of all shards as they stand in paths: 000, 001, ... for as many as `shards` says."""
    return [f"{shard:03d}" for shard in range(shards)]


def as_words(paths: Iterable[str]) -> str:
    """Write paths as words of a shell command, in which shards that follow one another are one word.

    Args:
        paths: Paths, in any order, perhaps twice.

    Returns:
        Words that Bash expands to each path once, such as `nodes/grid/{000..511}.zarr/zarr.json scores.json`.
    """
    series: dict[tuple[str, str, int], list[int]] = {}
    words = []
    for path in dict.fromkeys(paths):
        if found := SHARD.fullmatch(path):
            key = found["before"], found["after"], len(found["shard"])  # Bash gives all of a word one width
            series.setdefault(key, []).append(int(found["shard"]))
        else:
            words.append(shlex.quote(path))
    for (before, after, width), numbers in series.items():
        for first, last in _runs(sorted(numbers)):
            shard = f"{first:0{width}d}" if first == last else f"{{{first:0{width}d}..{last:0{width}d}}}"
            words.append(f"{shlex.quote(before)}{shard}{shlex.quote(after)}")
    return " ".join(words)


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """The first and the last of each run of numbers that follow one another, of numbers that rise."""
    ends = [0, *(place for place, (low, high) in enumerate(pairwise(numbers), 1) if high != low + 1), len(numbers)]
    return [(numbers[start], numbers[stop - 1]) for start, stop in pairwise(ends)]
