import json
import unicodedata

import pytest

from pipeline.datasets.annotated import (
    Annotations,
    clip_id,
    find_clips,
    list_clips,
    load_json,
    read_lines,
    records,
)
from pipeline.errors import PipelineError


def annotations_of(**splits):
    """Clips with one caption each, by split; `free` is none."""
    annotations = Annotations()
    for split, clips in splits.items():
        for clip in clips:
            annotations.add(clip, f"caption of {clip}", "here")
            if split != "free":
                annotations.assign(clip, split, "here")
    return annotations


def test_clips_without_a_file_are_missing_and_in_no_split():
    annotations = annotations_of(train=["c", "a", "b"], test=["d"], free=["f"])
    annotations.assign("e", "val", "here")
    annotations.add("a", " \n", "here")
    found = find_clips(annotations, ["f", "a", "d", "c", "unknown"])
    assert found.captions == {clip: [f"caption of {clip}"] for clip in "acdf"}
    assert list(found.captions) == ["c", "a", "d", "f"]
    assert found.splits == {"train": ["a", "c"], "val": [], "test": ["d"]}
    assert found.missing == ["b"]
    assert found.annotated == {"train": 3, "val": 0, "test": 1}
    assert found.notes == [
        "in a split, but without captions: e",
        "with captions, but in no split: f",
        "1 empty captions are left out",
    ]


def test_all_clips_missing_is_a_mistake():
    with pytest.raises(PipelineError, match=r"captions tell of a, b, c and 1 more, the files are x\.y: .*; see"):
        find_clips(annotations_of(train="abcd"), ["x.y"], hint="; see")
    with pytest.raises(PipelineError, match="no caption in the annotations"):
        find_clips(Annotations(), ["x"])


def test_captions_are_texts_in_one_line():
    annotations = Annotations()
    annotations.add("a", " two\n  lines ", "here")
    annotations.add("a", "two lines", "here")
    assert annotations.captions == {"a": ["two lines", "two lines"]}
    with pytest.raises(PipelineError, match=r"here: the caption of a must be a text, not \['x'\]"):
        annotations.add("a", ["x"], "here")


def test_captions_that_are_null_are_left_out_with_a_note():
    annotations = annotations_of(train=["a"])
    for caption in (None, float("nan")):
        annotations.add("a", caption, "here")
    annotations.add("a", "a nan bread", "here")
    found = find_clips(annotations, ["a"])
    assert found.captions == {"a": ["caption of a", "a nan bread"]}
    assert found.notes == ["2 captions that are null are left out"]


def test_names_in_another_case_are_offered():
    found = find_clips(annotations_of(train=["Vid1", "b", "gone"]), ["b", "vid1"])
    assert found.missing == ["Vid1", "gone"]
    assert found.notes == ["1 annotated clips differ from a file's name in upper and lower case alone: Vid1 (vid1)"]
    with pytest.raises(PipelineError, match=r"no annotated clip has a file.*lower case alone: Vid1 \(vid1\)"):
        find_clips(annotations_of(train=["Vid1"]), ["vid1"])


def test_a_clip_is_in_one_split():
    annotations = annotations_of(train=["a"])
    annotations.assign("a", "train", "there")
    with pytest.raises(PipelineError, match="there: a is in split test here and in train before"):
        annotations.assign("a", "test", "there")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("../x", "would leave the data folder"),
        ("..", "would leave the data folder"),
        (".", "would leave the data folder"),
        ("/etc/passwd", "would leave the data folder"),
        ("a/b", "would leave the data folder"),
        ("a\\b", "would leave the data folder"),
        ("", "must be a text that is not empty"),
        ("  ", "must be a text that is not empty"),
        (None, "must be a text that is not empty, not None"),
        (7, "must be a text"),
        ("a\0b", "holds a control character"),
        ("a\nb", "holds a control character"),
    ],
)
def test_ids_that_are_no_file_names_are_refused(value, message):
    with pytest.raises(PipelineError, match=f"^file:3: .*{message}") as raised:
        clip_id(value, "file:3")
    assert "\n" not in str(raised.value)
    assert "\0" not in str(raised.value)


@pytest.mark.parametrize("value", ["-4wsuPCjDBc_5_15", "a b", "..a", "\u65e5\u672c", "caf\u00e9", "a.b"])
def test_ids_that_are_file_names(value):
    assert clip_id(value, "here") == value
    assert clip_id(f" {unicodedata.normalize('NFD', value)} ", "here") == value


def test_of_two_files_of_one_id_the_preferred_counts(tmp_path):
    for name in ("b/v.webm", "a/v.mp4", "a/w.webm", "c/x.avi"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    videos = list_clips(tmp_path, preferred=(".mp4", ".webm"))
    assert [(video.id, video.path) for video in videos] == [("v", "a/v.mp4"), ("w", "a/w.webm"), ("x", "c/x.avi")]
    with pytest.raises(PipelineError, match=r"a/v\.mp4 and b/v\.webm are both v: keep one"):
        list_clips(tmp_path)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin").write_bytes(b"caf\xe9\n")
    (tmp_path / "half").write_text('{"a": ')
    with pytest.raises(PipelineError, match="latin: not UTF-8"):
        list(read_lines(tmp_path / "latin", "captions"))
    with pytest.raises(PipelineError, match="latin: not UTF-8"):
        load_json(tmp_path / "latin", "captions")
    with pytest.raises(PipelineError, match="half: no JSON"):
        load_json(tmp_path / "half", "captions")
    with pytest.raises(PipelineError, match=r"`captions\.val: .*nowhere`: there is no such file"):
        load_json(tmp_path / "nowhere", "captions.val")


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        ({"video": []}, "videos", r"there is no `videos` at its top \(found `video`\)"),
        ([], "videos", r"there is no `videos` at its top \(found no object\)"),
        ({"videos": {}}, "videos", "`videos` must be a list"),
        ({}, None, "the file must be a list"),
        ({"videos": [{"id": 1}, {"ID": 1}]}, "videos", r"videos\[1\]: there is no `id`"),
        ([{"id": 1}, 5], None, r"item\[1\]: there is no `id`"),
    ],
)
def test_wrong_shapes_of_json_are_named(tmp_path, content, key, message):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(content))
    with pytest.raises(PipelineError, match=rf"c\.json: {message}"):
        list(records(content, key, ["id"], path))
