import numpy as np
import pytest

from pipeline.scoring.bootstrap import estimate_difference
from pipeline.scoring.localisation import (
    Nearness,
    clip_nearness,
    distance,
    nearness_from_json,
    overlaps,
    precision_and_recall,
)

LEFT, RIGHT = [0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]
WHOLE = [0.0, 0.0, 1.0, 1.0]


def boxes(*rows):
    return np.array(rows, np.float64)


def test_distance_is_0_on_the_objects_and_1_from_corner_to_corner():
    assert distance(boxes(LEFT, RIGHT), boxes(RIGHT, LEFT)) == 0
    assert distance(boxes([0, 0, 0, 0]), boxes([1, 1, 1, 1])) == 1


def test_distance_counts_idle_regions_and_missed_objects():
    across = 0.5 / np.sqrt(2)  # from the centre of one half to that of the other
    assert distance(boxes(LEFT, RIGHT), boxes(LEFT)) == pytest.approx((across / 2 + 0) / 2)
    assert distance(boxes(LEFT), boxes(LEFT, RIGHT)) == pytest.approx((0 + across / 2) / 2)


def test_precision_is_of_regions_and_recall_of_objects():
    assert overlaps(boxes(LEFT, WHOLE), boxes(LEFT, RIGHT)).tolist() == [[1, 0], [0.5, 0.5]]
    precision, recall = precision_and_recall(boxes(LEFT, WHOLE), boxes(LEFT, RIGHT))
    assert (precision, recall) == (0.75, 0.75)
    assert precision_and_recall(boxes(LEFT), boxes(LEFT, RIGHT)) == (1, 0.5)
    beyond = boxes([-0.5, 0.0, 0.5, 1.0])  # its centre is at the edge, and half of it is there to overlap
    assert precision_and_recall(beyond, boxes(LEFT)) == (1, 1)
    assert distance(beyond, boxes(LEFT)) > 0
    assert precision_and_recall(boxes([0.5, 0.5, 0.5, 0.5]), boxes(WHOLE)) == (0, 0)


def test_frames_without_objects_count_for_nothing():
    nothing = np.zeros((0, 4))
    assert clip_nearness([boxes(LEFT)] * 2, [boxes(LEFT), nothing]).tolist() == [0, 1, 1]
    assert clip_nearness([boxes(LEFT)], [nothing]) is None


def test_the_harmonic_mean_is_of_the_means_over_clips():
    nearness = Nearness(("a", "b"), np.array([[0.1, 0.2, 0.6], [0.3, 0.4, 1.0]]))
    scores = nearness.scores()
    assert scores == pytest.approx({"distance": 0.2, "precision": 0.3, "recall": 0.8, "harmonic": 2 * 0.24 / 1.1})
    drawn = nearness.scores_of_draws(np.array([[2, 0]]))[0]
    assert drawn == pytest.approx([0.1, 0.2, 0.6, 0.3])
    again = nearness_from_json(nearness.to_json())
    assert again.ids == ("a", "b")
    assert again.rows_V3.tolist() == nearness.rows_V3.tolist()


def test_two_ways_to_look_are_compared_on_the_same_clips():
    ids = tuple(f"{number:02}" for number in range(12))
    rows_V3 = np.random.default_rng(0).random((12, 3))
    near, far = Nearness(ids, rows_V3), Nearness(ids, rows_V3 + np.array([0.5, 0.0, 0.0]))
    found = estimate_difference([near], [far], 50)["distance"]
    assert found.value == pytest.approx(-0.5)
    assert found.interval == pytest.approx((-0.5, -0.5))
