import json

import pytest

from pipeline.datasets.annotated import Annotations, find_clips
from pipeline.datasets.split_lists import read_split_lists
from pipeline.errors import PipelineError


def test_split_lists(tmp_path):
    (tmp_path / "t.txt").write_text("\ufeffa b\r\n\r\nvid2\r\n", encoding="utf-8")
    (tmp_path / "v.txt").write_text("long name", encoding="utf-8")
    annotations = Annotations()
    paths = {"train": tmp_path / "t.txt", "val": tmp_path / "v.txt", "test": None}
    read_split_lists(paths, annotations, {"long name": "vid3"})
    assert annotations.split_of == {"a b": "train", "vid2": "train", "vid3": "val"}
    (tmp_path / "v.txt").write_text("x\n\n../y\n")
    with pytest.raises(PipelineError, match=r"v\.txt:3: the id '\.\./y' would leave"):
        read_split_lists(paths, Annotations(), {})
    with pytest.raises(PipelineError, match=r"`splits\.test: .*nowhere`: there is no such file"):
        read_split_lists(paths | {"val": None, "test": tmp_path / "nowhere"}, Annotations(), {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MSRVTT_train.9k.csv", "video_id\nvideo0\nvideo7010\n"),
        (
            "MSRVTT_JSFUSION_test.csv",
            "key,vid_key,video_id,sentence\nret0,msr0,video0,a\nret1,msr7010,video7010,b\n",
        ),
        ("list.json", json.dumps(["video0", "video7010"])),
        ("files.txt", "video0.mp4\nvideo7010.webm\n"),
    ],
)
def test_forms_of_lists(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "val.txt").write_text("video3")
    annotations = Annotations()
    read_split_lists({"train": tmp_path / name, "val": tmp_path / "val.txt", "test": None}, annotations, {})
    assert annotations.split_of == {"video0": "train", "video7010": "train", "video3": "val"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "key,sentence\nret0,x\n", r"t\.csv:1: expected the header a column `video_id`"),
        ("t.csv", "video_id\na\n../b\n", r"t\.csv:3: the id '\.\./b' would leave"),
        ("t.json", "{}", r"t\.json: expected a list of ids"),
        ("t.json", "[1]", r"t\.json: item\[0\]: the id of a clip must be a text"),
    ],
)
def test_malformed_lists_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(PipelineError, match=message):
        read_split_lists({"train": tmp_path / name, "val": None, "test": None}, Annotations(), {})


def test_val_and_test_may_be_one_list_but_not_two_that_overlap(tmp_path):
    (tmp_path / "t.txt").write_text("a")
    (tmp_path / "v.txt").write_text("b\nc")
    (tmp_path / "other.txt").write_text("c\nd")
    paths = {"train": tmp_path / "t.txt", "val": tmp_path / "v.txt", "test": tmp_path / "v.txt"}
    annotations = Annotations(captions={clip: ["x"] for clip in "abc"})
    read_split_lists(paths, annotations, {})
    found = find_clips(annotations, list("ab"))
    assert found.splits == {"train": ["a"], "val": ["b"], "test": ["b"]}
    assert found.annotated == {"train": 1, "val": 2, "test": 2}
    assert [note[:40] for note in found.notes] == ["2 clips are in val and in test: models a"]
    with pytest.raises(PipelineError, match=r"other\.txt:1: c is in split test here and in val before"):
        read_split_lists(paths | {"test": tmp_path / "other.txt"}, Annotations(), {})
    with pytest.raises(PipelineError, match=r"v\.txt:1: b is in split val here and in train before"):
        read_split_lists(paths | {"train": tmp_path / "v.txt"}, Annotations(), {})
