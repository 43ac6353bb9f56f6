import pytest

from pipeline.artifact import ArtifactError, write_json
from pipeline.artifact.label_index import LabelIndex, read_label_index

CONTENT = {
    "heads": {"noun": ["pan", "cup"], "verb": ["take", "put", "wash"]},
    "labels": {"a": [0, 2], "b": [1, 0]},
    "splits": {"train": ["a"], "val": ["b"], "test": []},
    "missing": ["c"],
    "annotated": {"train": 1, "val": 2, "test": 0},
    "notes": [],
    "flips": {"verb": [1, 0, 2], "noun": None},
    "groups": {"a": "P01"},
}


def test_labels_by_head(tmp_path):
    write_json(tmp_path / "labels.json", CONTENT)
    index = read_label_index(tmp_path / "labels.json")
    assert index == LabelIndex(**CONTENT)
    assert index.label_of("a") == {"verb": 2, "noun": 0}


def test_clips_of_a_challenge_alone_have_no_label(tmp_path):
    write_json(tmp_path / "labels.json", CONTENT | {"splits": {"train": ["a"], "challenge": ["c"]}})
    assert read_label_index(tmp_path / "labels.json").splits["challenge"] == ["c"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"a": [0, 2], "b": [2, 0]}}, r"the label of b is \[2, 0\], where the heads have \[2, 3\] classes"),
        ({"labels": {"a": [0, 2], "b": [0]}}, r"the label of b is \[0\]"),
        ({"splits": {"train": ["a", "b"], "val": ["b"]}}, "a clip of split val is in the splits twice"),
        ({"splits": {"train": ["a", "a"]}}, "a clip of split train is in the splits twice"),
        ({"splits": {"train": ["c"]}}, "a clip of split train has no label"),
        ({"flips": {"noun": None, "verb": [1, 1, 2]}}, "the flips of verb do not give each of its 3 classes once"),
        ({"flips": {"noun": [0]}}, "the flips of noun do not give each of its 2 classes once"),
    ],
)
def test_labels_that_contradict_themselves_are_refused(tmp_path, changes, message):
    write_json(tmp_path / "labels.json", CONTENT | changes)
    with pytest.raises(ArtifactError, match=f"{message}.*run index_labels again"):
        read_label_index(tmp_path / "labels.json")
