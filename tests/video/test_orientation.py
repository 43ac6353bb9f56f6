"""Mirrors and turns of display matrices, against what they do to single points."""

from math import cos, pi, sin

import numpy as np
import pytest

from pipeline.video.orientation import Orientation, orientation

ONE = 1 << 16
WITHIN = [0, 0.3, -0.3, 1, -1, 10, -10, 44, -44]  # degrees off a whole quarter


def matrix_of(a, b, c, d):
    return [round(a * ONE), round(b * ONE), 0, round(c * ONE), round(d * ONE), 0, 5 * ONE, 7 * ONE, 1 << 30]


@pytest.mark.parametrize(
    ("numbers", "expected", "shown"),
    [
        ((1, 0, 0, 1), Orientation(False, 0), [[1, 2, 3], [4, 5, 6]]),
        ((0, 1, -1, 0), Orientation(False, 1), [[4, 1], [5, 2], [6, 3]]),
        ((-1, 0, 0, -1), Orientation(False, 2), [[6, 5, 4], [3, 2, 1]]),
        ((0, -1, 1, 0), Orientation(False, 3), [[3, 6], [2, 5], [1, 4]]),
        ((-1, 0, 0, 1), Orientation(True, 0), [[3, 2, 1], [6, 5, 4]]),
        ((0, -1, -1, 0), Orientation(True, 1), [[6, 3], [5, 2], [4, 1]]),
        ((1, 0, 0, -1), Orientation(True, 2), [[4, 5, 6], [1, 2, 3]]),
        ((0, 1, 1, 0), Orientation(True, 3), [[1, 4], [2, 5], [3, 6]]),
    ],
)
@pytest.mark.parametrize("off", WITHIN)
def test_each_of_eight_orientations_also_where_it_is_off_by_some_degrees(numbers, expected, shown, off):
    turn = np.array([[cos(off * pi / 180), sin(off * pi / 180)], [-sin(off * pi / 180), cos(off * pi / 180)]])
    found = orientation(matrix_of(*(np.array(numbers).reshape(2, 2) @ turn).ravel()))
    assert found == expected
    stored = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)[..., None]
    assert found.upright(stored)[..., 0].tolist() == shown
    assert found.upright_hw(2, 3) == np.shape(shown)


@pytest.mark.parametrize("stretch", [0.25, 4])
def test_a_matrix_that_stretches_turns_as_one_that_does_not(stretch):
    assert orientation(matrix_of(0, stretch, -1, 0)) == Orientation(False, 1)
    assert orientation(matrix_of(-stretch, 0, 0, 1)) == Orientation(True, 0)


def test_what_says_nothing_leaves_frames_as_they_are():
    assert orientation(None) == orientation([0] * 9) == orientation(matrix_of(0, 0, 0, 1)) == Orientation(False, 0)


def test_a_turn_midway_between_two_quarters_goes_to_the_even_one():
    half = cos(pi / 4)
    assert orientation(matrix_of(half, half, -half, half)) == Orientation(False, 0)
    assert orientation(matrix_of(-half, half, -half, -half)) == Orientation(False, 2)
