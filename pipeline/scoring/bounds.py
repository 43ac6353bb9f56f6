"""Captions that need no model, by whose scores those of models are read: two floors and a ceiling.

A caption that suits any video, and good captions at the wrong videos, show how much of a score is won without looking.
A reference that is scored against the other references of its video shows what people reach.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.scoring.tokenising import split_all
from pipeline.vocabulary import Tokenizer

SEED = 0


def commonest(captions: Sequence[str], tokenizer: Tokenizer) -> str:
    """Find the caption that occurs most often; case, punctuation and spacing make no difference.

    Args:
        captions: At least one caption.
        tokenizer: How captions are split into words.

    Returns:
        The first of its spellings; of several captions that are equally common, the one whose words come first.
    """
    spelling: dict[tuple[str, ...], str] = {}
    counts: Counter[tuple[str, ...]] = Counter()
    for caption, words in zip(captions, split_all(captions, tokenizer), strict=True):
        spelling.setdefault(tuple(words), caption)
        counts[tuple(words)] += 1
    return spelling[min(counts, key=lambda words: (-counts[words], words))]


def of_other_videos(captions: Mapping[str, str]) -> dict[str, str]:
    """Give each video the caption of another one, drawn at random so that each caption is given once.

    Args:
        captions: The caption of each video.

    Returns:
        The captions in the order of the videos; nothing for fewer than two videos.
    """
    if len(captions) < 2:
        return {}
    ids = list(captions)
    order = [ids[place] for place in np.random.default_rng(SEED).permutation(len(ids))]
    given = {video_id: captions[other] for video_id, other in zip(order, [*order[1:], order[0]], strict=True)}
    return {video_id: given[video_id] for video_id in ids}


def one_against_others(references: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Take one reference of each video, drawn at random, for its caption, and the others for its references.

    Args:
        references: The references of each video.

    Returns:
        The captions, and their references; videos with fewer than two are left out.
    """
    generator = np.random.default_rng(SEED)
    captions, others = {}, {}
    for video_id, texts in references.items():
        chosen = int(generator.integers(max(1, len(texts))))
        if len(texts) > 1:
            captions[video_id] = texts[chosen]
            others[video_id] = [*texts[:chosen], *texts[chosen + 1 :]]
    return captions, others
