import pytest

from pipeline.datasets.labelled import FoundLabels, Labelling, class_number, find_labels
from pipeline.errors import PipelineError


def labelling(*clips, names=("moves left", "moves right", "jumps"), **settings):
    found = Labelling({"class": list(names)}, **settings)
    for number, (clip, label, split) in enumerate(clips):
        found.add(clip, None if label is None else [label], split, f"l.txt:{number + 1}")
    return found


def test_clips_with_and_without_files():
    found = labelling(("c", 2, "train"), ("a", 0, "train"), ("b", 1, "val"), ("gone", 1, "test"), ("t", None, "test"))
    found.groups |= {"a": "g1", "gone": "g2"}
    assert find_labels(found, ["a", "b", "c", "t", "other"]) == FoundLabels(
        heads={"class": ["moves left", "moves right", "jumps"]},
        labels={"c": [2], "a": [0], "b": [1]},
        splits={"train": ["a", "c"], "val": ["b"], "test": []},
        missing=["gone"],
        annotated={"train": 2, "val": 1, "test": 1},
        notes=[
            "in a split, but without labels: t",
            "class: in val, but not in train, where nothing is learned of them: moves right",
            "class: in test, but not in train, where nothing is learned of them: moves right",
        ],
        flips={"class": [1, 0, 2]},
        groups={"a": "g1"},
    )


def test_why_clips_are_not_mirrored():
    clips = [("a", 0, "train"), ("b", 1, "train")]
    found = find_labels(labelling(*clips, names=("turns left", "jumps")), ["a", "b"])
    assert found.flips == {"class": None}
    assert found.notes == ["class: clips are not mirrored, because there is no class that mirrors turns left"]
    found = find_labels(labelling(*clips, names=("0", "1"), are_named=False), ["a", "b"])
    assert found.flips == {"class": None}
    assert "the classes have no names" in found.notes[0]
    found = find_labels(labelling(*clips, names=("0 and 1", "none"), may_mirror=False), ["a", "b"])
    assert (found.flips, found.notes) == ({"class": None}, [])


def test_several_heads():
    found = Labelling({"verb": ["take", "put"], "noun": ["pan", "cup", "lid"]})
    found.add("a", [1, 2], "train", "x:1")
    found.add("b", [0, 2], "train", "x:2")
    with pytest.raises(PipelineError, match="x:3: the noun of c is 3: expected 0 to 2, for there are 3 classes"):
        found.add("c", [1, 3], "train", "x:3")
    with pytest.raises(PipelineError, match="x:4: a is take and lid here and put and lid before"):
        found.add("a", [0, 2], "train", "x:4")
    with pytest.raises(PipelineError, match="all 2 labelled clips are of one noun, 'lid'"):
        find_labels(found, ["a", "b"])
    found.add("c", [0, 1], "train", "x:5")
    sorted_by_head = find_labels(found, ["a", "c"])
    assert list(sorted_by_head.heads) == ["noun", "verb"]
    assert sorted_by_head.labels == {"a": [2, 1], "c": [1, 0]}


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([("a", 3, "train")], "l.txt:1: the class of a is 3: expected 0 to 2"),
        ([("a", -1, "train")], "l.txt:1: the class of a is -1"),
        ([("a", 1, "train"), ("a", 1, "test")], "l.txt:2: a is in split test here and in train before: keep it in one"),
        ([("a", 1, "train"), ("a", 2, "train")], "a is jumps here and moves right before: a clip has one label"),
        ([], "there: no clip has a label"),
        ([("a", 1, "train"), ("b", 1, "val")], "there: all 2 labelled clips are of one class, 'moves right'"),
        ([("x", 1, "train"), ("A", 2, "val")], r"no labelled clip has a file: .* 1 labelled clips differ .* A \(a\)"),
    ],
)
def test_mistakes(clips, message):
    with pytest.raises(PipelineError, match=message):
        find_labels(labelling(*clips), ["a", "b"], ["there"])


def test_a_clip_may_stand_twice_with_one_label():
    assert labelling(("a", 1, "train"), ("a", 1, "train")).labels == {"a": [1]}


@pytest.mark.parametrize("name", ["", " ", "a\u2028b", "a\0", "\ud800", "x" * 301])
def test_names_that_are_none(name):
    clips = [("a", 0, None), ("b", 1, None)]
    with pytest.raises(PipelineError, match="is no name of a class of class: expected a text on one line"):
        find_labels(labelling(*clips, names=("x", name)), ["a", "b"])


def test_two_classes_of_one_name():
    with pytest.raises(PipelineError, match="two classes of class are called 'x'"):
        find_labels(labelling(("a", 0, None), ("b", 1, None), names=("x", "y", "x")), ["a", "b"])


def test_numbers_of_classes():
    numbers = {"jumping": 0, "running": 1}
    assert class_number("running", numbers, "t:1", "c.txt") == 1
    with pytest.raises(PipelineError, match=r"t:1: the class 'Running' .* 2 of c.txt: did you mean 'running'"):
        class_number("Running", numbers, "t:1", "c.txt")
