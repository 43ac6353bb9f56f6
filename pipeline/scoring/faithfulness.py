"""How faithful explanations are, over all explained videos: curves, areas, random twins, and mass on true objects.

Shapes: N videos, W words of a video, R regions of a video, S shares, B boxes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CURVES = ("deleted", "inserted", "deleted_at_random")
TOP = 2  # place of 20 % among the shares
# Layers of the LSTM captioner, from the last one on, in the order in which they are randomised.
LSTM_LAYERS = ("generator", "lstm", "words", "clip", "projection")
# By kind of the experiment; nothing where layers are not randomised one by one.
LAYERS: dict[str, tuple[str, ...]] = {"captioning": (), "map_captioning": LSTM_LAYERS}

Rows = NDArray[np.floating[Any]]


def curves_of(videos: Sequence[Mapping[str, Rows]]) -> dict[str, list[float]]:
    """Mean curves: over the words of each video, and then over videos.

    Args:
        videos: For each video its arrays of `CURVES`, `[W, S]`. A video without words does not count.
    """
    spoken = [video for video in videos if len(video[CURVES[0]])]
    return {name: np.mean([video[name].mean(0, np.float64) for video in spoken], 0).tolist() for name in CURVES}


def shares_of(curves: Mapping[str, Sequence[float]]) -> list[float]:
    """The shares of the regions that curves are of, from 0 to 1 in equal steps."""
    most = len(curves[CURVES[0]]) - 1
    return [number / most for number in range(most + 1)]


def area(curve: Sequence[float]) -> float:
    """The area under a curve over shares from 0 to 1, by trapezoids."""
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def beats_random(videos: Sequence[Mapping[str, Rows]]) -> float | None:
    """Share of videos whose words lose more by the most relevant 20 % of the regions than by random ones, on average.

    Args:
        videos: As of `curves_of`.

    Returns:
        None if no video has a word.
    """
    spoken = [video for video in videos if len(video["deleted"])]
    if not spoken:
        return None
    return float(np.mean([v["deleted"][:, TOP].mean() < v["deleted_at_random"][:, TOP].mean() for v in spoken]))


def rank_correlation(one_WR: Rows, other_WR: Rows) -> float | None:
    """Mean over words of Spearman's rank correlation of two relevances; 0 for a word of which one is flat.

    Returns:
        None without words.
    """
    if not len(one_WR):
        return None
    return float(np.mean([spearman(one, other) for one, other in zip(one_WR, other_WR, strict=True)]))


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of those that there are; None if there are none."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def spearman(one_R: Rows, other_R: Rows) -> float:
    """Spearman's rank correlation; equal numbers share the mean of their ranks. 0 if all numbers of one are equal."""
    first, second = (ranks - ranks.mean() for ranks in (mean_ranks(one_R), mean_ranks(other_R)))
    below = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / below) if below > 0 else 0.0


def mean_ranks(values_R: Rows) -> NDArray[np.float64]:
    """Rank of each number from 0 on; equal ones have the mean of theirs."""
    _, place, count = np.unique(values_R, return_inverse=True, return_counts=True)
    last = np.cumsum(count) - 1
    return np.asarray((last - (count - 1) / 2)[place])


class Mass(NamedTuple):
    """The relevance of a word on its own object and on the other one of a video.

    Attributes:
        own: Share of the word's relevance in its object's boxes; 0 if nothing is relevant.
        other: That in the other object's boxes; None if there is one object alone.
    """

    own: float
    other: float | None


def mass_in(relevance_R: Rows, boxes_R4: Rows, object_R4: Rows) -> float:
    """Share of a word's relevance that lies in an object: each region gives the part of it that the object covers.

    Args:
        relevance_R: The relevance of each region; what is negative counts as 0.
        boxes_R4: The regions: left, top, right, bottom.
        object_R4: The object's box at the time of each region; NaN where it is not seen.

    Returns:
        0 if nothing is relevant.
    """
    least = np.maximum(boxes_R4[:, :2], object_R4[:, :2])
    most = np.minimum(boxes_R4[:, 2:], object_R4[:, 2:])
    area_R = np.prod(boxes_R4[:, 2:] - boxes_R4[:, :2], 1)
    both_R = np.nan_to_num(np.prod(np.clip(most - least, 0, None), 1))
    covered_R = np.divide(both_R, area_R, out=np.zeros_like(both_R), where=area_R > 0)
    positive_R = np.clip(relevance_R, 0, None).astype(np.float64)
    total = positive_R.sum()
    return float((positive_R * covered_R).sum() / total) if total > 0 else 0.0


def summarise_mass(masses: Sequence[Sequence[Mass]]) -> dict[str, Any]:
    """Summarise the mass of the colours' words.

    Args:
        masses: For each video that names a colour of one of its objects, the mass of each such word.

    Returns:
        `num_videos`; `mean_share`: mean share of relevance in the word's object; `num_of_two`: videos of two objects;
        `more_on_own`: share of these whose words have, on average, more of it on their own object than on the other;
        the shares are null where no video counts.
    """
    of_two = [[mass for mass in of if mass.other is not None] for of in masses]
    of_two = [of for of in of_two if of]
    won = [sum(m.own for m in of) > sum(m.other for m in of if m.other is not None) for of in of_two]
    return {
        "num_videos": len(masses),
        "mean_share": float(np.mean([np.mean([m.own for m in of]) for of in masses])) if masses else None,
        "num_of_two": len(of_two),
        "more_on_own": float(np.mean(won)) if won else None,
    }
