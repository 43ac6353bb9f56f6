"""Deletion and insertion curves: what becomes of the words of a caption when regions of the video are taken away.

A faithful explanation puts those regions first that the words need: without them the words become unlikely soon, and
with them alone they are likely early (Petsiuk et al., "RISE", BMVC 2018, section 3). Probabilities of words are
saturated, so the curves are of their natural logarithm. Regions that are removed at random are what both are held
against.

Shapes: W words of a caption, R regions of a video, S shares, K sets of regions that are left.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SHARES = tuple(number / 10 for number in range(11))  # of the regions that are removed, or are alone there
DRAWS = 5  # random orders, of which the mean is taken

Rows = NDArray[np.floating[Any]]
Kept = NDArray[np.bool_]
LogP = Callable[
    [Kept], Rows
]  # of regions that are left [K, R], to log-probabilities of all words of the caption [K, W]


class Curves(NamedTuple):
    """Log-probabilities of each word at each share of `SHARES`, all `[W, S]` in float32.

    Attributes:
        deleted_WS: When so large a share of the regions is removed, the most relevant first.
        inserted_WS: When so large a share is left, the most relevant, and all others are removed.
        random_WS: When so large a share is removed at random; the mean of `DRAWS` orders.
    """

    deleted_WS: Rows
    inserted_WS: Rows
    random_WS: Rows


def removal_curves(relevance_WR: Rows, log_p: LogP, rng: np.random.Generator) -> Curves:
    """Measure the curves of one video.

    Args:
        relevance_WR: How much each region speaks for each word.
        log_p: Gives the log-probability of every word, each after the words before it, for some sets of regions that
            are left. What stands in the place of the others is its matter.
        rng: Draws random orders, and the order of regions that are equally relevant.
    """
    num_words, num_regions = relevance_WR.shape
    if num_words == 0:
        none = np.zeros((0, len(SHARES)), np.float32)
        return Curves(none, none, none)
    rank_WR = np.stack([ranks(row, rng) for row in relevance_WR])
    rank_DR = np.stack([rng.permutation(num_regions) for _ in range(DRAWS)])
    own = np.arange(num_words)
    deleted, inserted, random = [], [], []
    for share in SHARES:
        number = round(share * num_regions)
        deleted.append(log_p(rank_WR >= number)[own, own])
        inserted.append(log_p(rank_WR < number)[own, own])
        random.append(log_p(rank_DR >= number).mean(0))
    return Curves(*(np.stack(rows, 1).astype(np.float32) for rows in (deleted, inserted, random)))


def ranks(relevance_R: Rows, rng: np.random.Generator) -> NDArray[np.int64]:
    """The place of each region when the most relevant stands first; equally relevant ones stand in a random order."""
    shuffled = rng.permutation(len(relevance_R))
    order = shuffled[np.argsort(-relevance_R[shuffled], kind="stable")]
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def random_of(seed: int, video_id: str) -> np.random.Generator:
    """Random numbers of a video that do not depend on which others are explained."""
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(video_id.encode()).digest()[:8], "big")])
