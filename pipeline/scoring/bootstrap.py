"""Compute intervals by the paired bootstrap over videos and seeds.

The method is that of Efron and Tibshirani (1993, chapter 13); Koehn (2004) uses it for such metrics. Videos are drawn
with replacement, as many as there are, and scored anew; the middle 95 % of many such scores is the interval. The score
of an experiment with several seeds is the mean over the seeds. Each resample of it draws its seeds with replacement as
well, as many as there are, and averages their scores on its one draw of videos: the interval is then over videos and
seeds together. With one seed it is over videos alone, and says nothing about another training.

Two experiments are compared on the same draws of videos, so that what a video adds to both cancels out. Their seeds are
drawn independently, because equal seeds of two experiments have nothing in common.

Shapes: N seeds, V videos, R resamples, S statistics, M metrics (7 of captions).
"""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.statistics import Rows

SEED = 0
PERCENT = (2.5, 97.5)
MIN_VIDEOS = 10  # resamples of fewer videos say nothing about further videos
DRAWN_AT_ONCE = 250


class Statistics(Protocol):
    """What is known of each of some videos, from which the metrics of any set of them follow."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the videos."""

    def of(self, ids: tuple[str, ...]) -> Self:
        """Those of some of the videos, in the order of `ids`."""

    def scores(self) -> dict[str, float]:
        """The metrics of all the videos together, by name."""

    def scores_of_draws(self, times_RV: NDArray[np.int64]) -> Rows:
        """The metrics of resamples `[R, M]`, in the order of `scores`; each says how often it drew each video."""


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
    drawn_RM = resampled_means(one, num_resamples, 1) - resampled_means(other, num_resamples, 2)
    return _estimates({metric: above[metric] - below[metric] for metric in above}, drawn_RM, len(common))


def resampled_means(seeds: Sequence[Statistics], num_resamples: int, stream: int) -> Rows:
    """Compute the metrics of resamples of the videos and the seeds, `[R, M]`.

    Args:
        seeds: The statistics of each seed; all of the same videos.
        num_resamples: Number of resamples, R.
        stream: Number of the experiment in a comparison; experiments with different numbers draw their seeds
            independently.
    """
    scores_NRM = np.stack([resampled_scores(seed, num_resamples) for seed in seeds])
    generator = np.random.default_rng([SEED, stream])
    times_RN = generator.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), num_resamples)
    return mean_of_drawn(scores_NRM, times_RN)


def mean_of_drawn(scores_NRM: Rows, times_RN: NDArray[np.int64]) -> Rows:
    """Average each resample over the seeds that it drew, where a seed that it drew twice counts twice.

    Args:
        scores_NRM: The metrics of each seed in each resample.
        times_RN: How often each resample drew each seed.

    Returns:
        `[R, M]`.
    """
    mean_RM: Rows = np.einsum("nrm,rn->rm", scores_NRM, times_RN) / times_RN.shape[1]
    return mean_RM


def resampled_scores(statistics: Statistics, num_resamples: int) -> Rows:
    """Compute the metrics of resamples of the videos.

    Args:
        statistics: The statistics of the videos.
        num_resamples: Number of resamples, R.

    Returns:
        `[R, M]`. Calls with equally many videos draw alike: resample i takes the same rows in each.
    """
    num_videos = len(statistics.ids)
    generator = np.random.default_rng(SEED)
    scores = []
    for start in range(0, num_resamples, DRAWN_AT_ONCE):
        size = min(DRAWN_AT_ONCE, num_resamples - start)
        times_RV = generator.multinomial(num_videos, np.full(num_videos, 1 / num_videos), size)
        scores.append(statistics.scores_of_draws(times_RV))
    return np.concatenate(scores)


def _mean_scores(seeds: Sequence[Statistics]) -> dict[str, float]:
    scores = [seed.scores() for seed in seeds]
    return {metric: fmean(of[metric] for of in scores) for metric in scores[0]}


def _estimates(values: dict[str, float], drawn_RM: Rows, num_videos: int) -> dict[str, Estimate]:
    low, high = np.percentile(drawn_RM, PERCENT, axis=0).tolist()
    enough = num_videos >= MIN_VIDEOS
    return {metric: Estimate(values[metric], (low[i], high[i]) if enough else None) for i, metric in enumerate(values)}
