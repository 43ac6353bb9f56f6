"""Where captions and clips stand among test clips, in numbers that are written out."""

import numpy as np
import pytest

from pipeline.report import standing
from pipeline.report.standing import Distances, Standing, mean_direction, share_below, stand, to_nearest


def test_the_share_below():
    assert share_below(-2.0, [-3.0, -2.0, -1.0, -2.5]) == 0.5  # as much is not below
    assert share_below(-9.0, [-3.0]) == 0.0
    assert share_below(None, [1.0]) is None
    assert share_below(1.0, []) is None


def test_the_mean_direction_counts_each_node_alike_however_long():
    x_ND = np.array([[10, 0], [0, 0.5], [0, 0]], np.float16)
    assert mean_direction(x_ND) == pytest.approx([0.5**0.5, 0.5**0.5])


def test_nodes_without_a_direction_have_no_mean():
    assert mean_direction(np.zeros((2, 3), np.float16)) is None
    assert mean_direction(np.zeros((0, 3), np.float16)) is None
    assert mean_direction(np.array([[1, 0], [-1, 0]], np.float16)) is None


def test_distances_are_those_of_the_nearest_training_clip(monkeypatch):
    monkeypatch.setattr(standing, "CLIPS_AT_ONCE", 2)
    training_TD = np.array([[1, 0], [0, 1]], np.float32)
    x_VD = np.array([[1, 0], [0.6, 0.8], [-1, 0]], np.float32)
    assert to_nearest(x_VD, training_TD) == pytest.approx([0, 0.2, 1])


def test_a_clip_without_a_distance_has_no_standing_by_it():
    found = stand({"a": -1.0, "b": -2.0}, [-1.5], Distances({"a": 0.5}, [0.1, 0.2]))
    assert found == {"a": Standing(1.0, 1.0), "b": Standing(0.0, None)}
    assert [of.unlike for of in found.values()] == [True, False]


def test_unlike_is_what_is_farther_than_19_of_20():
    assert not Standing(None, 0.95).unlike
    assert Standing(None, 0.96).unlike
