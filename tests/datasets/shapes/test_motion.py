import numpy as np
import pytest

from pipeline.datasets.shapes.captions import ACTION_PHRASES
from pipeline.datasets.shapes.motion import GROWTH, Room, draw_path

ROOM = Room(10, 20, 110, 80)
TIMES = np.linspace(0, 1, 41)
SEEDS = range(20)


def paths(action, radius=10.0, times=TIMES):
    return [draw_path(action, times, ROOM, radius, np.random.default_rng(seed)) for seed in SEEDS]


@pytest.mark.parametrize("action", ACTION_PHRASES)
@pytest.mark.parametrize("radius", [10.0, 25.0, 60.0])
def test_objects_stay_in_their_room(action, radius):
    for path in paths(action, radius):
        assert path.centres.shape == (41, 2)
        assert (path.centres - path.radii[:, None] >= [9.999, 19.999]).all()
        assert (path.centres + path.radii[:, None] <= [110.001, 80.001]).all()


@pytest.mark.parametrize(
    ("action", "axis", "sign"),
    [("moves left", 0, -1), ("moves right", 0, 1), ("moves up", 1, -1), ("moves down", 1, 1)],
)
def test_moves_go_one_way_through_most_of_the_room(action, axis, sign):
    for path in paths(action):
        steps = np.diff(path.centres, axis=0)
        assert (sign * steps[:, axis] > 0).all()
        assert steps[:, 1 - axis] == pytest.approx(0)
        assert abs(path.centres[-1, axis] - path.centres[0, axis]) > 0.8 * (80, 40)[axis]


def test_left_and_right_pass_the_same_places():
    left = np.concatenate([path.centres[:, 0] for path in paths("moves left")])
    right = np.concatenate([path.centres[:, 0] for path in paths("moves right")])
    assert np.percentile(left, [10, 50, 90]) == pytest.approx(np.percentile(right, [10, 50, 90]), abs=4)


def test_growing_is_shrinking_backwards():
    grown, shrunk = paths("grows")[0].radii, paths("shrinks")[0].radii
    assert grown[-1] / grown[0] == pytest.approx(GROWTH**2)
    assert (np.diff(grown) > 0).all()
    assert shrunk == pytest.approx(grown[::-1])


def test_bounces_at_least_three_times_and_drifts_little():
    for path in paths("bounces"):
        y = path.centres[:, 1]
        assert (np.diff(np.sign(np.diff(y))) < 0).sum() + (np.diff(np.sign(np.diff(y))) > 0).sum() >= 5
        assert np.ptp(y) > 25
        assert np.ptp(path.centres[:, 0]) < 10


def test_bounces_show_in_eight_frames():
    for path in paths("bounces", times=np.linspace(0, 1, 8)):
        assert np.ptp(path.centres[:, 1]) > 18


def test_circles_turns_more_than_once():
    for path in paths("circles"):
        middle = (path.centres.max(axis=0) + path.centres.min(axis=0)) / 2
        angle = np.unwrap(np.arctan2(*(path.centres - middle).T[::-1]))
        assert 1.2 < abs(angle[-1] - angle[0]) / (2 * np.pi) < 1.8


def test_stops_half_way_then_stands_still():
    for path in paths("stops half-way"):
        speed = np.linalg.norm(np.diff(path.centres, axis=0), axis=1)
        assert (speed[:15] > 0.3).all()
        assert speed[23:] == pytest.approx(0)


def test_turns_back_ends_where_it_began():
    for path in paths("turns back"):
        assert path.centres[-1] == pytest.approx(path.centres[0])
        assert abs(path.centres[20, 0] - path.centres[0, 0]) > 60


def test_zigzags_turns_on_its_way():
    for path in paths("zigzags"):
        x, y = path.centres.T
        assert (np.diff(x) > 0).all() or (np.diff(x) < 0).all()
        assert (np.diff(np.sign(np.diff(y))) != 0).sum() >= 4


def test_pulses_and_blinks_come_and_go():
    for pulsing, blinking in zip(paths("pulses"), paths("blinks"), strict=True):
        assert pulsing.radii.max() / pulsing.radii.min() > 2.3
        assert (np.diff(pulsing.radii) > 0).any()
        assert (np.diff(pulsing.radii) < 0).any()
        assert 5 <= np.diff(blinking.visible).sum() <= 7
    assert all(path.visible.all() for path in paths("moves left"))


def test_still_is_still():
    for path in paths("stays still"):
        assert np.ptp(path.centres, axis=0) == pytest.approx(0)
        assert path.radii == pytest.approx(10)
