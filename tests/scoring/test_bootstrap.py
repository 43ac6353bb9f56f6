import time

import numpy as np
import pytest

from pipeline.scoring.bootstrap import Estimate, estimate, estimate_difference, resampled_scores
from pipeline.scoring.statistics import COLUMNS, Statistics

CIDER = COLUMNS.index("CIDEr")


def statistics(cider, first=0):
    rows = np.zeros((len(cider), len(COLUMNS)))
    rows[:, CIDER] = cider
    return Statistics(tuple(f"v{number:05d}" for number in range(first, first + len(cider))), rows)


def test_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(2, 1, 900)
    found = estimate(statistics(values), 4000)["CIDEr"]
    half = 1.96 * values.std() / 30
    assert found.value == pytest.approx(values.mean())
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.006)


def test_a_shared_part_cancels_out():
    """Each video is 0.1 better, give or take little, while videos differ by much more."""
    rng = np.random.default_rng(2)
    shared = rng.normal(2, 1, 200)
    one, other = statistics(shared + 0.1 + rng.normal(0, 0.02, 200)), statistics(shared)
    alone = [estimate(of, 1000)["CIDEr"].interval for of in (one, other)]
    assert alone[0][0] < alone[1][1]  # the intervals overlap
    difference = estimate_difference(one, other, 1000)["CIDEr"]
    assert difference.sign == 1
    assert difference.interval == pytest.approx((0.1, 0.1), abs=0.01)
    assert estimate_difference(other, one, 1000)["CIDEr"].sign == -1


def test_nothing_differs_from_itself():
    one = statistics(np.arange(50.0))
    for found in estimate_difference(one, one, 100).values():
        assert found == Estimate(0.0, (0.0, 0.0))
        assert found.sign == 0


def test_common_videos_alone_are_compared():
    one, other = statistics(np.full(30, 3.0)), statistics(np.full(30, 1.0), first=15)
    assert estimate_difference(one, other, 50)["CIDEr"] == Estimate(2.0, (2.0, 2.0))
    assert estimate_difference(one, statistics([1.0], first=99), 50) == {}


def test_few_videos_have_no_interval():
    found = estimate(statistics([1.0, 2.0]), 50)["CIDEr"]
    assert found == Estimate(1.5, None)
    assert found.sign == 0


def test_draws_are_reproducible_and_fast():
    rows = np.random.default_rng(0).random((3000, len(COLUMNS)))
    start = time.process_time()
    drawn = resampled_scores(rows, 1000)
    assert time.process_time() - start < 3
    assert drawn.tolist() == resampled_scores(rows, 1000).tolist()
    assert drawn.shape == (1000, 7)
    assert len(np.unique(drawn[:, 6])) > 990
