import numpy as np
import pytest
from toys.sync_mnist import MULTI, sync_mnist

from pipeline.datasets.sync_mnist.glyphs import glyph_bank
from pipeline.datasets.sync_mnist.labels import label_table, none_label
from pipeline.datasets.sync_mnist.tracks import draw_scene, move, plan_clips

ROOM = 71
NUM_CLIPS = 1500


def scenes_of(number=NUM_CLIPS, **changed):
    settings = sync_mnist(**changed)
    bank = glyph_bank(settings)
    return settings, [draw_scene(settings, bank, "train", clip) for clip in range(number)]


@pytest.fixture(scope="module")
def published():
    return scenes_of(none_share=0.1)


def same(one, other):
    return all(np.array_equal(vars(one)[name], vars(other)[name]) for name in vars(one))


def test_a_clip_alone_is_that_of_the_row(published):
    settings, scenes = published
    for clip in (700, 3, 0):
        assert same(draw_scene(settings, glyph_bank(settings), "train", clip), scenes[clip])
    assert not same(draw_scene(settings, glyph_bank(settings), "val", 3), scenes[3])
    assert not same(draw_scene(settings.model_copy(update={"seed": 4}), glyph_bank(settings), "train", 3), scenes[3])
    assert list(plan_clips(settings))[5:7] == ["train-000005", "val-000000"]


def test_digits_stay_on_the_canvas_and_step_as_published(published):
    tracks = np.stack([scene.tracks_TD2 for scene in published[1]])
    steps = np.diff(tracks, axis=1)
    assert (tracks.min(), tracks.max()) == (0, ROOM)
    assert (steps.min(), steps.max()) == (-10, 9)  # the upper bound is left out, so that digits drift to the top left
    assert -0.5 < steps.mean() < -0.2


def test_with_the_upper_bound_digits_do_not_drift():
    tracks = np.stack([scene.tracks_TD2 for scene in scenes_of(300, inclusive_upper=True)[1]])
    steps = np.diff(tracks, axis=1)
    assert (tracks.min(), tracks.max(), steps.min(), steps.max()) == (0, ROOM, -10, 10)
    assert abs(steps.mean()) < 0.15


def test_the_pair_and_no_other_moves_alike(published):
    settings, scenes = published
    for scene in scenes:
        steps = np.diff(scene.tracks_TD2, axis=0)
        assert (scene.label(settings) != 45) == scene.together_D[0] == np.array_equal(steps[:, 0], steps[:, 1])
        assert scene.together_D.tolist() == [scene.together_D[0]] * 2 + [False] * 3
        assert not np.array_equal(steps[:, 2], steps[:, 3])


def test_labels_classes_and_the_share_of_none(published):
    settings, scenes = published
    labels = np.array([scene.label(settings) for scene in scenes])
    for scene, label in zip(scenes, labels, strict=True):
        assert len(set(scene.classes_D.tolist())) == 5
        assert label == (label_table()[tuple(scene.classes_D[:2])] if scene.together_D.any() else 45)
    assert set(labels.tolist()) == set(range(46))
    assert abs((labels == 45).mean() - 0.1) < 0.03
    assert np.bincount(labels)[:45].max() < 3 * NUM_CLIPS * 0.9 / 45


def test_a_subset_moves_alike_and_names_the_class():
    settings, scenes = scenes_of(**MULTI)
    labels = {scene.label(settings) for scene in scenes}
    numbers = np.array([scene.together_D.sum() for scene in scenes])
    for scene in scenes:
        alike = np.diff(scene.tracks_TD2, axis=0)[:, scene.together_D]
        assert (alike == alike[:, :1]).all()
        digits = scene.classes_D[scene.together_D]
        expected = label_table("subset")[digits.min(), digits.max()] if len(digits) else none_label()
        assert scene.label(settings) == expected
    assert set(numbers.tolist()) == {0, 2, 3, 4, 5}
    assert np.bincount(numbers)[2:].min() > NUM_CLIPS / 5
    assert labels >= set(range(46))
    assert max(labels) > 46
    assert any(len(set(scene.classes_D.tolist())) < 5 for scene in scenes)


def test_a_digit_alone_is_labelled_by_its_class():
    settings, scenes = scenes_of(60, digits=1, classes=4, none_share=0.0)
    assert {scene.label(settings) for scene in scenes} == {0, 1, 2, 3}
    assert all(scene.label(settings) == scene.classes_D[0] for scene in scenes)


def test_steps_that_can_be_written_out():
    starts, first = np.array([[0, 50], [72, 70], [30, 30]]), np.array([True, True, False])
    uniform = np.array([[[0.0, 0.5], [0.9, 0.9], [0.999, 0.0]]])
    # Rows: the pair can take no step that keeps both there. Columns: from -10 to 2, its middle. The third: -10 to 9.
    assert move(starts, uniform, first, 72, 10, inclusive_upper=False).tolist() == [[[0, 46], [72, 66], [39, 20]]]
    assert move(starts, uniform, first, 72, 10, inclusive_upper=True).tolist() == [[[0, 46], [72, 66], [40, 20]]]


def test_boxes_are_shares_of_the_frame(published):
    scene = published[1][0]
    row, column = scene.tracks_TD2[4, 2]
    assert scene.boxes(100)[4, 2].tolist() == [column / 100, row / 100, (column + 28) / 100, (row + 28) / 100]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"digits": 4, "classes": 3}, "give as many classes as digits"),
        ({"repeated_classes": True}, "goes with `synchronous: subset`"),
        ({"digits": 1}, "goes with `none_share: 0.0`"),
    ],
)
def test_settings_that_cannot_be_drawn(changed, told):
    with pytest.raises(ValueError, match=told):
        sync_mnist(**changed)
