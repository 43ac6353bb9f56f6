"""Compute intervals by the paired bootstrap over videos and seeds.

The method is that of Efron and Tibshirani (1993, chapter 13); Koehn (2004) uses it for such metrics. Videos are drawn
with replacement, as many as there are, and scored anew; the middle 95 % of many such scores is the interval. The score
of an experiment with several seeds is the mean over the seeds. Each resample of it draws its seeds with replacement as
well, as many as there are, and averages their scores on its one draw of videos: the interval is then over videos and
seeds together. With one seed it is over videos alone, and says nothing about another training.

Two experiments are compared on the same draws of videos, so that what a video adds to both cancels out. Their seeds are
drawn independently, because equal seeds of two experiments have nothing in common.

Shapes: N seeds, V videos, R resamples, S statistics, 7 metrics.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.statistics import METRICS, Rows, Statistics, scores_of

SEED = 0
PERCENT = (2.5, 97.5)
MIN_VIDEOS = 10  # resamples of fewer videos say nothing about further videos
DRAWN_AT_ONCE = 250


class Estimate(NamedTuple):
    """A figure with its interval.

    Attributes:
        value: The figure.
        interval: Lower and upper end of the middle 95 % of the resamples; None where there are too few videos.
    """

    value: float
    interval: tuple[float, float] | None

    @property
    def sign(self) -> int:
        """-1 if the interval lies below 0, 1 if it lies above, 0 if it holds 0 or there is none."""
        if self.interval is None:
            return 0
        return int(self.interval[0] > 0) - int(self.interval[1] < 0)


def estimate(seeds: Sequence[Statistics], num_resamples: int) -> dict[str, Estimate]:
    """Estimate each metric of an experiment as the mean over its seeds, with its interval.

    Args:
        seeds: The statistics of each seed; all of the same videos.
        num_resamples: Number of resamples, R.
    """
    return _estimates(_mean_scores(seeds), resampled_means(seeds, num_resamples, 1), len(seeds[0].ids))


def estimate_difference(
    one: Sequence[Statistics], other: Sequence[Statistics], num_resamples: int
) -> dict[str, Estimate]:
    """Estimate by how much one experiment exceeds another in each metric, on the videos that both have.

    Args:
        one: The statistics of each seed of the one experiment.
        other: The statistics of each seed of the other one, which may have more seeds, or fewer.
        num_resamples: Number of resamples, R.

    Returns:
        The difference of each metric; empty if the experiments have no video in common.
    """
    common = tuple(sorted(set.intersection(*(set(seed.ids) for seed in (*one, *other)))))
    if not common:
        return {}
    one, other = [seed.of(common) for seed in one], [seed.of(common) for seed in other]
    above, below = _mean_scores(one), _mean_scores(other)
    drawn_R7 = resampled_means(one, num_resamples, 1) - resampled_means(other, num_resamples, 2)
    return _estimates({metric: above[metric] - below[metric] for metric in METRICS}, drawn_R7, len(common))


def resampled_means(seeds: Sequence[Statistics], num_resamples: int, stream: int) -> Rows:
    """Compute the metrics of resamples of the videos and the seeds, `[R, 7]`.

    Args:
        seeds: The statistics of each seed; all of the same videos.
        num_resamples: Number of resamples, R.
        stream: Number of the experiment in a comparison; experiments with different numbers draw their seeds
            independently.
    """
    scores_NR7 = np.stack([resampled_scores(seed.rows_VS, num_resamples) for seed in seeds])
    generator = np.random.default_rng([SEED, stream])
    times_RN = generator.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), num_resamples)
    return mean_of_drawn(scores_NR7, times_RN)


def mean_of_drawn(scores_NR7: Rows, times_RN: NDArray[np.int64]) -> Rows:
    """Average each resample over the seeds that it drew, where a seed that it drew twice counts twice.

    Args:
        scores_NR7: The metrics of each seed in each resample.
        times_RN: How often each resample drew each seed.

    Returns:
        `[R, 7]`.
    """
    mean_R7: Rows = np.einsum("nrm,rn->rm", scores_NR7, times_RN) / times_RN.shape[1]
    return mean_R7


def resampled_scores(rows_VS: Rows, num_resamples: int) -> Rows:
    """Compute the metrics of resamples of the videos.

    Args:
        rows_VS: Statistics of each video.
        num_resamples: Number of resamples, R.

    Returns:
        `[R, 7]`. Calls with equally many videos draw alike: resample i takes the same rows in each.
    """
    num_videos = len(rows_VS)
    generator = np.random.default_rng(SEED)
    scores = []
    for start in range(0, num_resamples, DRAWN_AT_ONCE):
        size = min(DRAWN_AT_ONCE, num_resamples - start)
        times_RV = generator.multinomial(num_videos, np.full(num_videos, 1 / num_videos), size)
        scores.append(scores_of(times_RV @ rows_VS, num_videos))
    return np.concatenate(scores)


def _mean_scores(seeds: Sequence[Statistics]) -> dict[str, float]:
    scores = [seed.scores() for seed in seeds]
    return {metric: fmean(of[metric] for of in scores) for metric in METRICS}


def _estimates(values: dict[str, float], drawn_R7: Rows, num_videos: int) -> dict[str, Estimate]:
    low, high = np.percentile(drawn_R7, PERCENT, axis=0).tolist()
    enough = num_videos >= MIN_VIDEOS
    return {metric: Estimate(values[metric], (low[i], high[i]) if enough else None) for i, metric in enumerate(METRICS)}
