"""Paired bootstrap over videos (Efron and Tibshirani, 1993, chapter 13; for such metrics Koehn, 2004).

Videos are drawn with replacement, as many as there are, and scored anew; the middle 95 % of many such scores is the
interval. Two experiments are compared on the same draws: what one video adds to both cancels out.

Shapes: V videos, R resamples, S statistics, 7 metrics.
"""

from typing import NamedTuple

import numpy as np

from pipeline.scoring.statistics import METRICS, Rows, Statistics, scores_of

SEED = 0
PERCENT = (2.5, 97.5)
MIN_VIDEOS = 10  # of fewer, resamples say nothing about the next video
DRAWN_AT_ONCE = 250


class Estimate(NamedTuple):
    """A figure and its interval, which is None where there are too few videos for one."""

    value: float
    interval: tuple[float, float] | None

    @property
    def sign(self) -> int:
        """-1 or 1 if the interval lies on one side of 0, else 0."""
        if self.interval is None:
            return 0
        return int(self.interval[0] > 0) - int(self.interval[1] < 0)


def estimate(statistics: Statistics, num_resamples: int) -> dict[str, Estimate]:
    """Each metric with its interval."""
    return _estimates(statistics.scores(), resampled_scores(statistics.rows_VS, num_resamples), len(statistics.ids))


def estimate_difference(one: Statistics, other: Statistics, num_resamples: int) -> dict[str, Estimate]:
    """By how much `one` exceeds `other` in each metric, on the videos that both have; nothing if there are none."""
    common = tuple(sorted(set(one.ids) & set(other.ids)))
    if not common:
        return {}
    one, other = one.of(common), other.of(common)
    above, below = one.scores(), other.scores()
    drawn_R7 = resampled_scores(one.rows_VS, num_resamples) - resampled_scores(other.rows_VS, num_resamples)
    return _estimates({metric: above[metric] - below[metric] for metric in METRICS}, drawn_R7, len(common))


def resampled_scores(rows_VS: Rows, num_resamples: int) -> Rows:
    """The metrics of resamples of the videos.

    Args:
        rows_VS: Statistics of each video.
        num_resamples: R.

    Returns:
        `[R, 7]`. Equal numbers of videos are drawn alike: resample i takes the same places of either.
    """
    num_videos = len(rows_VS)
    generator = np.random.default_rng(SEED)
    scores = []
    for start in range(0, num_resamples, DRAWN_AT_ONCE):
        size = min(DRAWN_AT_ONCE, num_resamples - start)
        times_RV = generator.multinomial(num_videos, np.full(num_videos, 1 / num_videos), size)
        scores.append(scores_of(times_RV @ rows_VS, num_videos))
    return np.concatenate(scores)


def _estimates(values: dict[str, float], drawn_R7: Rows, num_videos: int) -> dict[str, Estimate]:
    low, high = np.percentile(drawn_R7, PERCENT, axis=0).tolist()
    enough = num_videos >= MIN_VIDEOS
    return {metric: Estimate(values[metric], (low[i], high[i]) if enough else None) for i, metric in enumerate(METRICS)}
