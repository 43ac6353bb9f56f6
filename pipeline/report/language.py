"""Describe the language of captions: how many differ, how long they are, which are common, which words never come."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.vocabulary import split_words

COMMONEST = 5  # captions that are listed
UNUSED = 30  # words that are listed
MOST_WORDS = 20  # of a caption; longer ones count as so long in the picture of lengths


def describe_language(captions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Describe the captions of one experiment; how many are distinct or novel, and how long, their scores say.

    Args:
        captions: Caption by video.
        references: References of the videos of the split, by video.

    Returns:
        `num` (captions), `words` (different ones in all captions), `lengths` (how many captions have 0, 1, 2, .. words,
        as shares), `commonest` (caption and count), `num_unused` and `unused` (words of the references that no caption
        has, the most frequent first, with their counts there).
    """
    split = [split_words(caption) for caption in captions.values()]
    used = {word for words in split for word in words}
    there = Counter(word for of_video in references.values() for caption in of_video for word in split_words(caption))
    unused = [(word, count) for word, count in there.items() if word not in used]
    unused.sort(key=lambda of: (-of[1], of[0]))
    counts = sorted(Counter(captions.values()).items(), key=lambda of: (-of[1], of[0]))
    return {
        "num": len(split),
        "words": len(used),
        "lengths": lengths_of(map(len, split)),
        "commonest": counts[:COMMONEST],
        "num_unused": len(unused),
        "unused": unused[:UNUSED],
    }


def lengths_of(numbers: Iterable[int]) -> list[float]:
    """Shares of the captions with 0, 1, 2, .. words, up to `MOST_WORDS`, which stands for longer ones, too."""
    counts = Counter(min(number, MOST_WORDS) for number in numbers)
    total = counts.total()
    return [counts[number] / total for number in range(MOST_WORDS + 1)] if total else []


def reference_lengths(references: Mapping[str, Sequence[str]]) -> list[float]:
    """The same as `lengths_of` for all references."""
    return lengths_of(len(split_words(caption)) for of_video in references.values() for caption in of_video)
