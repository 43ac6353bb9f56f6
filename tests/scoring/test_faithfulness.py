"""Faithfulness figures by hand."""

import numpy as np
import pytest

from pipeline.scoring.faithfulness import (
    Mass,
    area,
    beats_random,
    curves_of,
    mass_in,
    mean_of,
    mean_ranks,
    rank_correlation,
    shares_of,
    spearman,
    summarise_mass,
)


def video(deleted, at_random, inserted=0.0):
    """A video whose words have the same log-probability at every share but 0, where it is 0."""
    curves = {"deleted": deleted, "deleted_at_random": at_random, "inserted": [inserted] * len(deleted)}
    steps = np.array([0.0] + [1.0] * 10)
    return {name: np.array(values, np.float32)[:, None] * steps for name, values in curves.items()}


NONE = {name: np.zeros((0, 11), np.float32) for name in ("deleted", "inserted", "deleted_at_random")}


def test_curves_are_means_over_words_and_then_over_videos():
    curves = curves_of([video([-1.0, -3.0], [0.0, 0.0]), NONE, video([-4.0], [-1.0])])
    assert curves["deleted"] == [0.0] + [-3.0] * 10
    assert curves["deleted_at_random"] == [0.0] + [-0.5] * 10
    assert shares_of(curves)[:3] == [0.0, 0.1, 0.2]
    assert area(curves["deleted"]) == pytest.approx(-2.85)  # a triangle of 0.1 x 3 is missing from -3
    assert area([0.0, 1.0]) == 0.5


def test_a_video_beats_random_by_the_mean_over_its_words():
    assert beats_random([video([-1.0, -3.0], [-1.5, -1.5]), video([-1.0], [-1.0]), NONE]) == 0.5
    assert beats_random([NONE]) is None


def test_rank_correlations_of_known_orders():
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 90.0])) == pytest.approx(1)
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])) == pytest.approx(-1)
    # Spearman's textbook case with one pair swapped: 1 - 6 * 2 / (4 * 15).
    assert spearman(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])) == pytest.approx(0.8)
    assert mean_ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [1.5, 0.0, 1.5, 3.0]


def test_a_flat_map_resembles_nothing_and_overflows_nothing():
    assert spearman(np.zeros(4), np.arange(4.0)) == 0
    both = np.array([[1.0, 2.0], [0.0, 0.0]])
    assert rank_correlation(both, both) == 0.5
    assert rank_correlation(both[:0], both[:0]) is None
    assert mean_of([None, 1.0, 0.0]) == 0.5
    assert mean_of([None]) is None


BOXES = np.array([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]])  # the left and the right half of a frame


def test_mass_is_shared_by_the_part_of_a_region_that_an_object_covers():
    quarter = np.array([[0.25, 0.0, 0.5, 1.0]] * 2)  # half of the left region, nothing of the right one
    assert mass_in(np.array([3.0, 1.0]), BOXES, quarter) == pytest.approx(0.375)
    assert mass_in(np.array([3.0, -1.0]), BOXES, quarter) == pytest.approx(0.5)
    assert mass_in(np.array([0.0, 0.0]), BOXES, quarter) == 0
    unseen = quarter.copy()
    unseen[0] = np.nan
    assert mass_in(np.array([3.0, 1.0]), BOXES, unseen) == 0
    assert mass_in(np.array([3.0]), np.array([[0.5, 0.5, 0.5, 0.5]]), quarter[:1]) == 0  # a region without an area


def test_mass_of_videos_of_one_and_of_two_objects():
    found = summarise_mass([[Mass(0.5, 0.1), Mass(0.2, 0.5)], [Mass(0.1, 0.3)], [Mass(0.6, None)]])
    assert found["num_videos"] == 3
    assert found["mean_share"] == pytest.approx((0.35 + 0.1 + 0.6) / 3)
    assert found["num_of_two"] == 2
    assert found["more_on_own"] == 0.5  # 0.7 of both words against 0.6, and 0.1 against 0.3
    assert summarise_mass([]) == {"num_videos": 0, "mean_share": None, "num_of_two": 0, "more_on_own": None}
