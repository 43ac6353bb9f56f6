"""Subsets of a training split with a few clips a class."""

import hashlib
from collections.abc import Iterable, Mapping


def few_shot(labels: Mapping[str, int], ids: Iterable[str], k: int, seed: int) -> list[str]:
    """Choose k clips of each class.

    A class keeps the k clips whose hashes come first, so the clips for k = 5 are among those for k = 10, and neither
    the order of the ids nor clips of other classes change the choice.

    Args:
        labels: Class of each clip.
        ids: Clips to choose from.
        k: Clips a class; a class that has fewer gives all it has.
        seed: Another seed gives another choice.

    Returns:
        The chosen clips, sorted.
    """
    by_class: dict[int, list[str]] = {}
    for clip in ids:
        by_class.setdefault(labels[clip], []).append(clip)
    chosen = [sorted(clips, key=lambda clip: (_drawn(clip, seed), clip))[:k] for clips in by_class.values()]
    return sorted(clip for clips in chosen for clip in clips)


def _drawn(clip: str, seed: int) -> bytes:
    return hashlib.sha256(f"few-shot {seed} of {clip}".encode()).digest()
