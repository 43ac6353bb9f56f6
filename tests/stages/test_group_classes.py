import json

import numpy as np
import pytest
from toys.tiny_tstl import CLASSES, write_labels

from pipeline.__main__ import main
from pipeline.artifact import create, read_json, write_json
from pipeline.schemas import LOGITS

VIEW = np.zeros(1, np.int16)


def group(folder, settings, file=(), logits=()):
    """Group the classes by the command; return the exit code and, if it is 0, what was written."""
    given = ["group_classes", "--labels", folder / "labels.json", "--file", *file, "--logits", *logits]
    given += ["--settings", json.dumps(settings), "--out", folder / "out.json"]
    code = main([str(word) for word in given])
    return code, read_json(folder / "out.json", [], "group_classes") if code == 0 else None


def write_file(folder, content):
    path = folder / "own groups.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_consecutive_groups_by_name(tmp_path):
    write_labels(tmp_path)
    code, found = group(tmp_path, {"kind": "consecutive", "number": 2})
    assert code == 0
    assert found == {
        "groups": {"class": {"falls left": 0, "falls right": 0, "grows": 1, "shrinks": 1}},
        "names": ["0: falls left, falls right", "1: grows, shrinks"],
    }


def test_one_group_is_a_division_too(tmp_path):
    write_labels(tmp_path, num_train=1)
    code, found = group(tmp_path, {"kind": "consecutive", "number": 1})
    assert code == 0
    assert found["groups"] == {"class": dict.fromkeys(CLASSES, 0)}


@pytest.mark.parametrize("content", [[["grows", "falls left"], ["falls right", "shrinks"]], [[2, 0], [1, 3]]])
def test_groups_of_a_file(tmp_path, content):
    """The names are in alphabetical order, so that names and places say the same."""
    write_labels(tmp_path)
    file = write_file(tmp_path, content)
    code, found = group(tmp_path, {"kind": "file", "file": str(file)}, file=[file])
    assert code == 0
    assert found["groups"]["class"] == {"grows": 0, "falls left": 0, "falls right": 1, "shrinks": 1}


def test_what_is_confused_is_together(tmp_path):
    """Of each class half of the probability goes to another one: 0 and 2, and 1 and 3, are taken for each other."""
    write_labels(tmp_path, num_val=4)
    with create(tmp_path / "x.zarr", LOGITS, ids=["val0", "val1", "val3"], stage="", settings={}, inputs={}) as writer:
        for clip_id, other in (("val0", 2), ("val1", 3), ("val3", 1)):
            row = np.zeros((1, 4), np.float32)
            row[0, other] = 3
            writer.append(clip_id, logits=row, temporal=VIEW, spatial=VIEW)
    settings = {"kind": "confusions", "experiment": "cast", "number": 2}
    code, found = group(tmp_path, settings, logits=[tmp_path / "x.zarr"])
    assert code == 0
    assert found["groups"]["class"] == {"falls left": 0, "grows": 0, "falls right": 1, "shrinks": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[", "own groups.json: Expecting value"),
        ({"grows": 0}, "own groups.json: expected a list of groups"),
        ([["grows", "falls left"], ["shrinks"]], "1 of 4 classes are in no group, such as 'falls right'"),
        ([CLASSES, ["grows"]], "own groups.json: class 'grows' is in group 0 and in group 1"),
        ([CLASSES[:3], ["shrinks", "jumps"]], "own groups.json: 'jumps' is none of the 4 classes"),
        ([CLASSES, []], "own groups.json: group 1 has no class"),
        ([CLASSES[:3], ["shrinks"]], "own groups.json: group 1 .* has training clips of one class alone, 'shrinks'"),
    ],
)  # fmt: skip
def test_a_file_of_other_groups_is_refused_in_one_line(tmp_path, capfd, content, message):
    write_labels(tmp_path)
    file = write_file(tmp_path, content)
    code, _ = group(tmp_path, {"kind": "file", "file": str(file)}, file=[file])
    assert_refused(code, capfd, message)


def assert_refused(code, capfd, message):
    *_, error = capfd.readouterr().err.splitlines()
    assert code == 2
    assert error.startswith("error: group_classes: ")
    with pytest.raises(ValueError, match=message):
        raise ValueError(error)


def test_a_file_that_is_not_there_is_refused(tmp_path, capfd):
    write_labels(tmp_path)
    code, _ = group(tmp_path, {"kind": "file", "file": "x.json"}, file=[tmp_path / "x.json"])
    assert_refused(code, capfd, "No such file or directory")


def test_more_groups_than_classes_and_groups_without_clips_are_refused(tmp_path, capfd):
    write_labels(tmp_path, num_train=2)  # of classes 0 and 1
    code, _ = group(tmp_path, {"kind": "consecutive", "number": 5})
    assert_refused(code, capfd, "number: 5 groups of 4 classes: there are no more than 4")
    code, _ = group(tmp_path, {"kind": "consecutive", "number": 2})
    assert_refused(code, capfd, r"group 1 \('grows' and 1 more\) has training clips none at all")


def test_several_heads_have_no_groups(tmp_path, capfd):
    path = write_labels(tmp_path)
    content = read_json(path, [], "index_labels")
    content["heads"] = {"noun": CLASSES, "verb": CLASSES}
    content["labels"] = {clip_id: [one, one] for clip_id, (one,) in content["labels"].items()}
    write_json(path, content)
    code, _ = group(tmp_path, {"kind": "consecutive", "number": 2})
    assert_refused(code, capfd, "groups are of the classes of one head, and here are noun, verb")


def test_logits_of_other_classes_are_refused(tmp_path, capfd):
    write_labels(tmp_path, num_val=1)
    with create(tmp_path / "x.zarr", LOGITS, ids=["val0"], stage="", settings={}, inputs={}) as writer:
        writer.append("val0", logits=np.zeros((1, 3), np.float32), temporal=VIEW, spatial=VIEW)
    settings = {"kind": "confusions", "experiment": "cast", "number": 2}
    code, _ = group(tmp_path, settings, logits=[tmp_path / "x.zarr"])
    assert_refused(code, capfd, "logits of 3 classes, but .* has 4: run recognize_videos again")
