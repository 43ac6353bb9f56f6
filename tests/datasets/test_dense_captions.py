"""Sentences about intervals of long videos, in the forms in which they are published."""

import json

import pytest

from pipeline.config import DenseCaptionsSettings, SplitLists
from pipeline.datasets.annotated import find_clips
from pipeline.datasets.dense_captions import list_videos, read_annotations
from pipeline.datasets.readers import list_videos as list_by_kind
from pipeline.datasets.readers import listing_digests, mapping_files
from pipeline.errors import PipelineError
from pipeline.video.interval import Interval


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def settings_of(folder, captions):
    return DenseCaptionsSettings(kind="dense_captions", shards=1, videos=folder, captions=captions)


def activitynet(*sentences, times=((0, 4.5), (4.5, 12.25))):
    return {"duration": 12.5, "timestamps": [list(pair) for pair in times], "sentences": list(sentences)}


def youcook(subset, *parts):
    annotations = [{"segment": segment, "id": n, "sentence": text} for n, (segment, text) in enumerate(parts)]
    return {"duration": 99.0, "subset": subset, "recipe_type": "101", "video_url": "x", "annotations": annotations}


def test_clips_are_intervals_of_the_videos_that_are_there(tmp_path):
    for name in ("v_one.mp4", "two.mkv", "other.mp4"):
        (tmp_path / name).write_bytes(b"xyz")
    train = {
        "v_one": activitynet(" A man  sits.", "He rises."),
        "v_two": activitynet("x", "y"),
        "v_gone": activitynet("z", ""),
    }
    path = write(tmp_path / "train.json", train)
    videos = list_videos(tmp_path, [path])
    assert [(video.id, video.path, video.size, video.interval) for video in videos] == [
        ("v_one@0-4.5", "v_one.mp4", 3, Interval(0.0, 4.5)),
        ("v_one@4.5-12.25", "v_one.mp4", 3, Interval(4.5, 12.25)),
        ("v_two@0-4.5", "two.mkv", 3, Interval(0.0, 4.5)),
        ("v_two@4.5-12.25", "two.mkv", 3, Interval(4.5, 12.25)),
    ]
    val = write(tmp_path / "val.json", {})
    settings = settings_of(tmp_path, SplitLists(train=path, val=val, test=None))
    found = find_clips(read_annotations(settings), [video.id for video in videos])
    assert found.captions["v_one@0-4.5"] == ["A man sits."]
    assert found.splits["train"] == [video.id for video in videos]
    assert found.missing == ["v_gone@0-4.5"]
    assert found.notes == ["in a split, but without captions: v_gone@4.5-12.25", "1 empty captions are left out"]


def test_a_file_may_name_its_splits(tmp_path):
    database = {
        "a": youcook("training", ([3, 9], "whisk two eggs"), ([3, 9], "beat eggs"), ([10, 20.5], "fry")),
        "b": youcook("validation", ([0, 1], "cut")),
    }
    path = write(tmp_path / "youcookii_annotations_trainval.json", {"database": database})
    annotations = read_annotations(settings_of(tmp_path, path))
    assert annotations.captions == {"a@3-9": ["whisk two eggs", "beat eggs"], "a@10-20.5": ["fry"], "b@0-1": ["cut"]}
    assert annotations.split_of == {"a@3-9": "train", "a@10-20.5": "train", "b@0-1": "val"}
    both = SplitLists(train=path, val=path, test=None)
    assert read_annotations(settings_of(tmp_path, both)).split_of == annotations.split_of


@pytest.mark.parametrize(
    "item",
    [
        {"video_id": "a", "split": "train", "timestamps": [[0, 2]], "captions": ["x"]},
        {"video_id": "a", "video": "a.mp4", "subset": "train", "timestamps": [[0.0, 2.0]], "sentences": ["x"]},
        {"video_id": "a", "split": "train", "captions_starts": [0], "captions_ends": [2], "en_captions": ["x"]},
    ],
)
def test_lists_of_objects(tmp_path, item):
    annotations = read_annotations(settings_of(tmp_path, write(tmp_path / "c.json", [item])))
    assert (annotations.captions, annotations.split_of) == ({"a@0-2": ["x"]}, {"a@0-2": "train"})


def test_segments_without_sentences_are_clips_without_captions(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    database = {"a": {"subset": "testing", "annotations": [{"segment": [0, 5], "id": 0}]}}
    path = write(tmp_path / "youcookii_annotations_test_segments_only.json", {"database": database})
    assert [video.id for video in list_videos(tmp_path, [path])] == ["a@0-5"]
    annotations = read_annotations(settings_of(tmp_path, path))
    assert (annotations.split_of, annotations.captions, annotations.num_null) == ({"a@0-5": "test"}, {}, 0)


def test_intervals_that_are_none_are_left_out_with_a_note(tmp_path):
    times = ((5, 5), (9, 2), (None, 3), (0, 3))
    path = write(tmp_path / "train.json", {"v": activitynet("a", "b", "c", "d", times=times)})
    (tmp_path / "v.mp4").write_bytes(b"x")
    assert [video.id for video in list_videos(tmp_path, [path])] == ["v@0-3"]
    val = write(tmp_path / "val.json", {})
    annotations = read_annotations(settings_of(tmp_path, SplitLists(train=path, val=val, test=None)))
    assert annotations.captions == {"v@0-3": ["d"]}
    assert annotations.notes == [
        "3 intervals have no length or times, and are left out: v from 5 to 5, v from 9 to 2, v from None to 3"
    ]


def test_val_and_test_may_annotate_one_video_and_train_another(tmp_path):
    one = write(tmp_path / "val_1.json", {"v": activitynet("a", "b")})
    two = write(tmp_path / "val_2.json", {"v": activitynet("c", "d", times=((0, 4.5), (6, 7)))})
    none = write(tmp_path / "train.json", {})
    annotations = read_annotations(settings_of(tmp_path, SplitLists(train=none, val=one, test=two)))
    assert annotations.notes == ["1 videos are in val and in test, with clips of their own"]
    assert annotations.captions["v@0-4.5"] == ["a", "c"]
    found = find_clips(annotations, list(annotations.captions))
    assert found.splits == {"train": [], "val": ["v@0-4.5", "v@4.5-12.25"], "test": ["v@0-4.5", "v@6-7"]}
    with pytest.raises(PipelineError, match=r"val_2\.json: 'v': v is in split val here and in train before"):
        read_annotations(settings_of(tmp_path, SplitLists(train=one, val=two, test=None)))


def test_a_new_sentence_decodes_nothing_and_a_new_interval_its_shard(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"x")
    path = write(tmp_path / "train.json", {"v": activitynet("a", "b")})
    settings = json.loads(settings_of(tmp_path, path).model_dump_json())
    assert mapping_files(settings) == [str(path)]

    def digests():
        return listing_digests(list_by_kind("dense_captions", tmp_path, None, [path]), 1)

    before = digests()
    write(path, {"v": activitynet("a", "another")})
    assert digests() == before
    write(path, {"v": activitynet("a", "b", times=((0, 4.5), (4.5, 12)))})
    assert digests() != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"v": activitynet("a")}, r"'v': 2 `timestamps` and 1 `sentences`: expected as many"),
        ({"v": {"timestamps": [3], "sentences": ["a"]}}, r"'v': an interval must be two numbers of seconds, not 3"),
        ({"v": {"sentences": ["a"]}}, r"'v': expected `timestamps` and `sentences`, or `annotations`, as lists"),
        ({"v": {"annotations": [{"sentence": "a"}]}}, r"'v': an annotation must have a `segment`"),
        (
            {"v": {"annotations": [{"segment": [0, 1]}]}},
            r"'v': `subset` is None: expected train.* a file for each split",
        ),
        ({"../v": activitynet("a", "b")}, r"'\.\./v': the id '\.\./v' would leave"),
        ({"videos": [], "sentences": []}, r"'videos': expected id -> .*it looks like a file for `kind: msrvtt`"),
        ([{"timestamps": []}], r"item\[0\]: expected id -> \{timestamps, sentences\}"),
        (3, r"expected id -> \{timestamps, sentences\}"),
    ],
)
def test_malformed_files_are_named(tmp_path, content, message):
    with pytest.raises(PipelineError, match=rf"c\.json: {message}"):
        read_annotations(settings_of(tmp_path, write(tmp_path / "c.json", content)))


def test_no_annotated_video_is_there(tmp_path):
    (tmp_path / "b.mp4").write_bytes(b"x")
    path = write(tmp_path / "c.json", {"v_a": activitynet("a", "b")})
    with pytest.raises(PipelineError, match=r"no annotated video has a file: .* tell of v_a, the files are b: an id"):
        list_videos(tmp_path, [path])
