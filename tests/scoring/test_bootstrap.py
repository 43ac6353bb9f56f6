import time

import numpy as np
import pytest

from pipeline.scoring.bootstrap import (
    Estimate,
    estimate,
    estimate_difference,
    mean_of_drawn,
    resampled_means,
    resampled_scores,
)
from pipeline.scoring.statistics import COLUMNS, METRICS, Statistics, scores_of

CIDER = COLUMNS.index("CIDEr")


def statistics(cider, first=0):
    rows = np.zeros((len(cider), len(COLUMNS)))
    rows[:, CIDER] = cider
    return Statistics(tuple(f"v{number:05d}" for number in range(first, first + len(cider))), rows)


def test_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(2, 1, 900)
    found = estimate([statistics(values)], 4000)["CIDEr"]
    half = 1.96 * values.std() / 30
    assert found.value == pytest.approx(values.mean())
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.006)


def test_a_shared_part_cancels_out():
    """Each video is 0.1 better, give or take little, while videos differ by much more."""
    rng = np.random.default_rng(2)
    shared = rng.normal(2, 1, 200)
    one, other = statistics(shared + 0.1 + rng.normal(0, 0.02, 200)), statistics(shared)
    alone = [estimate([of], 1000)["CIDEr"].interval for of in (one, other)]
    assert alone[0][0] < alone[1][1]  # the intervals overlap
    difference = estimate_difference([one], [other], 1000)["CIDEr"]
    assert difference.sign == 1
    assert difference.interval == pytest.approx((0.1, 0.1), abs=0.01)
    assert estimate_difference([other], [one], 1000)["CIDEr"].sign == -1


def test_nothing_differs_from_itself():
    one = statistics(np.arange(50.0))
    for found in estimate_difference([one], [one], 100).values():
        assert found == Estimate(0.0, (0.0, 0.0))
        assert found.sign == 0


def test_common_videos_alone_are_compared():
    one, other = statistics(np.full(30, 3.0)), statistics(np.full(30, 1.0), first=15)
    assert estimate_difference([one], [other], 50)["CIDEr"] == Estimate(2.0, (2.0, 2.0))
    assert estimate_difference([one], [statistics([1.0], first=99)], 50) == {}


def test_few_videos_have_no_interval():
    found = estimate([statistics([1.0, 2.0])], 50)["CIDEr"]
    assert found == Estimate(1.5, None)
    assert found.sign == 0


def test_draws_are_reproducible_and_fast():
    rows = Statistics(tuple(map(str, range(3000))), np.random.default_rng(0).random((3000, len(COLUMNS))))
    start = time.process_time()
    drawn = resampled_scores(rows, 1000)
    assert time.process_time() - start < 3
    assert drawn.tolist() == resampled_scores(rows, 1000).tolist()
    assert drawn.shape == (1000, 7)
    assert len(np.unique(drawn[:, 6])) > 990


def test_two_seeds_and_three_videos_by_hand():
    """Seed means of each draw of videos, and then the mean over the seeds drawn; a seed drawn twice counts twice."""
    one, other = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 9.0])  # CIDEr of the videos by either seed
    times_RV = np.array([[1, 1, 1], [3, 0, 0], [0, 1, 2]])  # of the videos
    times_RN = np.array([[1, 1], [2, 0], [0, 2]])  # of the seeds
    scores_NR7 = np.stack([scores_of(times_RV @ statistics(cider).rows_VS, 3) for cider in (one, other)])
    assert scores_NR7[:, :, METRICS.index("CIDEr")].tolist() == [[2, 1, 8 / 3], [6, 4, 23 / 3]]
    found = mean_of_drawn(scores_NR7, times_RN)[:, METRICS.index("CIDEr")]
    assert found.tolist() == [(2 + 6) / 2, 1, 23 / 3]
    assert estimate([statistics(one), statistics(other)], 50)["CIDEr"].value == (2 + 6) / 2


def test_seeds_alone_give_the_interval_that_their_draws_have():
    """Videos that do not differ: of two seeds at 1 and 3, a quarter of the draws is at 1, half at 2, a quarter at 3."""
    drawn = resampled_means([statistics(np.full(20, 1.0)), statistics(np.full(20, 3.0))], 8000, 1)[:, -1]
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [1, 2, 3]
    assert counts / 8000 == pytest.approx([0.25, 0.5, 0.25], abs=0.02)
    assert estimate([statistics(np.full(20, 1.0)), statistics(np.full(20, 3.0))], 500)["CIDEr"] == (2, (1, 3))


def test_one_seed_is_drawn_as_if_there_were_no_seeds():
    one = statistics(np.random.default_rng(3).random(40))
    assert resampled_means([one], 300, 1).tolist() == resampled_scores(one, 300).tolist()
    low, high = np.percentile(resampled_scores(one, 300)[:, -1], (2.5, 97.5))
    assert estimate([one], 300)["CIDEr"] == (one.scores()["CIDEr"], (low, high))


def test_a_difference_of_one_seed_that_its_spread_explains_is_not_taken_for_one():
    """Two experiments that are the same, but for what a training is lucky with: about 0.3 a seed."""
    rng = np.random.default_rng(5)
    videos = rng.normal(2, 1, 200)
    luck = {"one": (0.4, -0.3, 0.1), "other": (-0.3, 0.35, 0.0)}
    one, other = ([statistics(videos + plus + rng.normal(0, 0.2, 200)) for plus in luck[name]] for name in luck)
    over_videos = estimate_difference(one[:1], other[:1], 1000)["CIDEr"]
    assert over_videos.sign == 1  # 0.7, and every video says so
    over_both = estimate_difference(one, other, 1000)["CIDEr"]
    assert over_both.sign == 0
    assert over_both.value == pytest.approx(0.2 / 3 - 0.05 / 3, abs=0.05)
    widths = [found.interval[1] - found.interval[0] for found in (over_videos, over_both)]
    assert widths[1] > 5 * widths[0]


def test_a_difference_that_every_seed_has_is_found():
    rng = np.random.default_rng(6)
    videos = rng.normal(2, 1, 200)
    one = [statistics(videos + 0.5 + plus) for plus in (0.1, -0.1, 0.0)]
    other = [statistics(videos + plus) for plus in (-0.1, 0.1)]
    found = estimate_difference(one, other, 1000)["CIDEr"]
    assert (found.value, found.sign) == (pytest.approx(0.5), 1)


def test_seeds_of_two_experiments_are_drawn_apart():
    """Equal scores of equal seeds cancel out in the mean, but not in the interval."""
    seeds = [statistics(np.full(20, value)) for value in (1.0, 2.0, 3.0)]
    found = estimate_difference(seeds, seeds, 500)["CIDEr"]
    assert found.value == 0
    assert found.interval[0] < -0.5 < 0.5 < found.interval[1]


def test_videos_that_one_seed_lacks_are_not_compared():
    whole, less = statistics(np.full(30, 3.0)), statistics(np.full(15, 3.0))
    found = estimate_difference([whole, less], [statistics(np.full(30, 1.0))], 50)["CIDEr"]
    assert found == Estimate(2.0, (2.0, 2.0))
