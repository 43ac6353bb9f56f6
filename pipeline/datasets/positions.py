"""Which split a clip is in where a data set publishes its splits by position: train, then val, then test.

A position is the number in a clip's id, or else the clip's place in a file whose order means something. It is never the
place among ids that were sorted as texts, where video10 comes before video2.
"""

import re
from collections.abc import Collection, Mapping

from pipeline.datasets.annotated import Annotations
from pipeline.workflow.paths import SPLITS

NUMBERED = re.compile(r"(.*?)([0-9]+)")


def numbers_of(clips: Collection[str]) -> tuple[str, dict[str, int]] | None:
    """Read the number that every id ends in.

    Args:
        clips: Ids, such as vid1 or video0012.

    Returns:
        The text that stands before all the numbers, perhaps empty, and the number of each clip; None if there is no
        clip, an id ends in no number, texts before the numbers differ, or two ids have one number (vid1 and vid01).
    """
    found = {clip: NUMBERED.fullmatch(clip) for clip in clips}
    prefixes = {match[1] if match else None for match in found.values()}
    numbers = {clip: int(match[2]) for clip, match in found.items() if match}
    if len(prefixes) != 1 or None in prefixes or len(set(numbers.values())) < len(numbers):
        return None
    (prefix,) = prefixes
    return prefix or "", numbers


def first_number(numbers: Collection[int], total: int, usual: int | None) -> int | None:
    """Tell whether numbers start at 0 or at 1.

    Args:
        numbers: Numbers of the clips that are known.
        total: Number of clips of the whole data set.
        usual: The first number where the clips do not tell: those with the lowest and the highest number may be gone.

    Returns:
        0 or 1; `usual` if neither 0 nor `total` is among the numbers, and None if both are.
    """
    if 0 in numbers:
        return None if total in numbers else 0
    return 1 if total in numbers else usual


def split_at(position: int, sizes: Mapping[str, int]) -> str:
    """Split of the clip at a position (from 0) where train, val and test follow one another; test takes the rest."""
    if position < sizes["train"]:
        return "train"
    return "val" if position < sizes["train"] + sizes["val"] else "test"


def published_sizes(annotations: Annotations, sizes: Mapping[str, int]) -> None:
    """Add a note to the annotations if the splits do not have the published sizes."""
    counted = {split: sum(of == split for of in annotations.split_of.values()) for split in SPLITS}
    if counted != dict(sizes):
        found, published = ("/".join(str(of[split]) for split in SPLITS) for of in (counted, sizes))
        annotations.notes.append(f"train/val/test are annotated for {found} clips, published for {published}")
