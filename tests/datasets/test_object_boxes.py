import pytest
from toys.sync_mnist import sync_mnist

from pipeline.artifact import read_json, write_json
from pipeline.datasets.object_boxes import object_boxes
from pipeline.errors import ArtifactError
from pipeline.stages import make_sync_mnist

ONE, OTHER = [0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]


def test_boxes_of_shapes_are_those_of_the_time_that_a_stored_frame_shows(tmp_path):
    objects = [
        {"colour": "red", "shape": "star", "size": "small", "action": "blinks", "boxes": [ONE, None, ONE, None]},
        {"colour": "red", "shape": "star", "size": "small", "action": "grows", "boxes": [OTHER] * 4},
    ]
    clip = {"objects": objects, "relation": None, "fps": 10.0, "num_frames": 4, "width": 8, "height": 8}
    truth = tmp_path / "truth.json"
    write_json(truth, {"videos": {"a": clip}, "vocabulary": [], "held_out_pairs": []})
    boxes_of = object_boxes("shapes", [truth])
    assert boxes_of("a", 1, 0.2).tolist() == [ONE, OTHER]  # the second of every other frame is stored
    assert boxes_of("a", 0, 0.1).tolist() == [OTHER]
    with pytest.raises(ArtifactError, match="clip a has no frame 4"):
        boxes_of("a", 2, 0.4)


def test_boxes_of_digits_are_those_of_the_frame(tmp_path):
    settings = sync_mnist()
    make_sync_mnist.run(tmp_path / "list.json", tmp_path / "truth.json", settings, 0)
    clip_id = next(iter(read_json(tmp_path / "truth.json", ["videos"], "make_sync_mnist")["videos"]))
    boxes_of = object_boxes("sync_mnist", [tmp_path / "truth.json"])
    boxes = boxes_of(clip_id, 3, 0.3)
    assert boxes.shape == (5, 4)
    assert ((boxes[:, 2:] - boxes[:, :2]).round(6) == 0.28).all()  # windows of 28 pixels on a canvas of 100


def test_nothing_is_known_of_other_videos():
    assert object_boxes("folder", []) is None
