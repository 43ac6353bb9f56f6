from fractions import Fraction

import numpy as np
import pytest

from pipeline.datasets.shapes.captions import COLOUR_WORDS, SHAPE_WORDS
from pipeline.datasets.shapes.drawing import COLOURS, EXTENTS, boxes_of, distance, make_noise_tile, render
from pipeline.datasets.shapes.motion import Path
from pipeline.datasets.shapes.scenes import Body, Scene

NO_NOISE = np.zeros((200, 200, 3), dtype=np.int16)


def body(shape="circle", colour="red", centre=(40, 30), radius=12, visible=True):
    path = Path(np.array([centre, centre], dtype=float), np.full(2, float(radius)), np.array([visible, visible]))
    return Body(colour, shape, "small", "stays still", path)


def picture(*bodies, noise=NO_NOISE, seed=0):
    scene = Scene(80, 60, Fraction(10), 2, "mp4", bodies, None)
    return render(scene, noise, np.random.default_rng(seed)).astype(int)


def test_everything_that_has_words_can_be_drawn():
    assert set(EXTENTS) == set(SHAPE_WORDS)
    assert set(COLOURS) == set(COLOUR_WORDS)


@pytest.mark.parametrize(
    ("shape", "inside", "outside"),
    [
        ("circle", [(0, 0), (0.7, 0.7)], [(0.72, 0.72)]),
        ("square", [(0.85, -0.85)], [(0, 0.95)]),
        ("triangle", [(0, -0.9), (0.9, 0.9), (-0.9, 0.9)], [(0.6, -0.6), (-0.6, -0.6)]),
        ("star", [(0, 0), (0, -0.9)], [(0.9, 0.5), (0, 0.6), (0.5, -0.5)]),
        ("cross", [(0, 0.9), (0.9, 0)], [(0.4, 0.4)]),
        ("diamond", [(0, 0.9), (0.6, 0)], [(0.5, 0.5), (0.8, 0)]),
        ("ring", [(0.8, 0), (0, -0.8)], [(0, 0), (0.4, 0)]),
        ("crescent", [(-0.6, 0), (0, -0.9)], [(0.5, 0), (0.9, 0)]),
    ],
)
def test_shapes_hold_these_points_and_not_those(shape, inside, outside):
    for points, sign in ((inside, -1), (outside, 1)):
        u, v = np.array(points, dtype=float).T
        assert (sign * distance(shape, u, v) > 0).all()


def test_unknown_shape():
    with pytest.raises(ValueError, match="blob"):
        distance("blob", np.zeros(1), np.zeros(1))


@pytest.mark.parametrize("shape", EXTENTS)
def test_extents_are_the_shapes_own(shape):
    axis = np.linspace(-1.2, 1.2, 961)
    u, v = np.meshgrid(axis, axis)
    inside = distance(shape, u, v) <= 0
    found = (u[inside].min(), v[inside].min(), u[inside].max(), v[inside].max())
    assert found == pytest.approx(EXTENTS[shape], abs=0.01)


def test_a_circle_covers_its_area_in_its_colour():
    with_circle, without = picture(body()), picture(body(visible=False))
    changed = np.abs(with_circle - without).sum(axis=-1)[0]
    assert (changed > 0).sum() == pytest.approx(np.pi * 12.5**2, rel=0.05)
    assert with_circle[0, 30, 40] == pytest.approx(COLOURS["red"], abs=13)


@pytest.mark.parametrize("shape", EXTENTS)
def test_boxes_hold_what_was_drawn(shape):
    drawn = body(shape, centre=(41.3, 28.6), radius=15.2)
    changed = np.abs(picture(drawn) - picture(body(shape, visible=False))).sum(axis=-1)[0] > 60
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    x1, y1, x2, y2 = boxes_of(drawn, 80, 60)[0]
    seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert (80 * x1, 60 * y1, 80 * x2, 60 * y2) == pytest.approx(seen, abs=1.6)


def test_boxes_end_at_the_frame_and_vanish_with_the_object():
    assert boxes_of(body(centre=(0, 0), radius=8), 80, 60) == [[0.0, 0.0, 0.1, 0.1333]] * 2
    assert boxes_of(body(visible=False), 80, 60) == [None, None]


def test_objects_over_the_edge_are_cut_off():
    frames = picture(body(centre=(79, 59), radius=20))
    assert frames.shape == (2, 60, 80, 3)
    assert frames[0, 55, 75] == pytest.approx(COLOURS["red"], abs=13)


def test_the_acting_object_is_in_front():
    frames = picture(body(colour="red"), body(colour="blue", radius=20))
    assert frames[0, 30, 40] == pytest.approx(COLOURS["red"], abs=13)
    assert frames[0, 30, 24] == pytest.approx(COLOURS["blue"], abs=13)


def test_noise_has_its_strength_and_changes_from_frame_to_frame():
    tile = make_noise_tile(8.0, 200, np.random.default_rng(1))
    assert tile.std() == pytest.approx(8, rel=0.02)
    noisy, clean = picture(body(), noise=tile), picture(body())
    assert (noisy - clean).std() == pytest.approx(8, rel=0.15)
    assert np.abs(noisy[0] - noisy[1]).mean() > 5
    assert (clean[0] == clean[1]).all()


def test_backgrounds_differ_from_clip_to_clip():
    hidden = body(visible=False)
    first, second = picture(hidden, seed=1), picture(hidden, seed=2)
    assert np.abs(first - second).mean() > 3
    assert first[0].std(axis=(0, 1)).min() > 1
