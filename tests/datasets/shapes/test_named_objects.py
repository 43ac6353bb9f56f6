"""Which object the colour of a caption is of, and where it is."""

import numpy as np

from pipeline.artifact import write_json
from pipeline.datasets.shapes.named_objects import named_colours, read_scenes

FIRST = [[0.0, 0.0, 0.2, 0.2], None, [0.2, 0.0, 0.4, 0.2]]
SECOND = [[0.5, 0.5, 1.0, 1.0]] * 3


def scene(folder, *colours):
    objects = [{"colour": colour, "boxes": boxes} for colour, boxes in zip(colours, (FIRST, SECOND), strict=False)]
    write_json(folder / "truth.json", {"videos": {"v": {"objects": objects, "fps": 10.0}}})
    return read_scenes([folder / "truth.json"])["v"]


def test_words_of_colours_with_their_synonyms(tmp_path):
    words = ["a", "violet", "ball", "is", "moving", "past", "a", "red", "box"]
    assert named_colours(words, scene(tmp_path, "purple", "red")) == [(1, 0), (7, 1)]
    assert named_colours(words, scene(tmp_path, "red")) == [(7, 0)]
    assert named_colours(words, scene(tmp_path, "red", "red")) == []  # which of the two is meant is not known
    assert named_colours([], scene(tmp_path, "red")) == []


def test_boxes_at_times_of_frames_and_after_the_last(tmp_path):
    found = scene(tmp_path, "red", "blue")
    assert found.num_objects == 2
    boxes = found.boxes_at(0, np.array([0.04, 0.1, 0.2, 5.0], np.float32))
    assert boxes[[0, 2, 3]].tolist() == [FIRST[0], FIRST[2], FIRST[2]]
    assert np.isnan(boxes[1]).all()
    assert found.boxes_at(1, np.array([0.1])).tolist() == [SECOND[1]]
