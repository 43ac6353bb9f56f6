"""The reader of MSR-VTT, on generated files in the formats that it is published in."""

import json

import pytest

from pipeline.config import MsrvttSettings, SplitLists
from pipeline.datasets.annotated import find_clips
from pipeline.datasets.msrvtt import list_videos, read_annotations
from pipeline.errors import PipelineError

SIZES = {"train": 6513, "val": 497, "test": 2990}
IDS = [f"video{number}" for number in range(10_000)]


def info(ids, num_captions=2, **more):
    """Content of videodatainfo_2017.json, its sentences in another order than its videos."""
    videos = [
        {"video_id": i, "category": 9, "start time": 1.5, **{key: of[i] for key, of in more.items()}} for i in ids
    ]
    sentences = [
        {"caption": f"caption {number} of {i}", "video_id": i, "sen_id": place * num_captions + number}
        for place, i in enumerate(ids)
        for number in range(num_captions)
    ]
    return {"info": {"year": "2017"}, "videos": videos, "sentences": sentences[::-1]}


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def settings_of(captions, splits="position"):
    return MsrvttSettings(kind="msrvtt", shards=4, videos=captions[0] if isinstance(captions, list) else captions,
                          captions=captions, splits=splits)  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """10,000 empty clips, 50 of them in .webm, two in both."""
    folder = tmp_path_factory.mktemp("msrvtt")
    for number, name in enumerate(IDS):
        (folder / f"{name}.{'webm' if number % 200 == 0 else 'mp4'}").touch()
    (folder / "video1.webm").touch()
    (folder / "video0.mp4").touch()
    return folder


def test_10000_clips_in_splits_of_6513_497_and_2990(tmp_path, clips):
    videos = list_videos(clips)
    assert len(videos) == 10_000
    paths = {video.id: video.path for video in videos}
    assert [paths[f"video{number}"] for number in (0, 1, 200)] == ["video0.mp4", "video1.mp4", "video200.webm"]
    path = write(tmp_path / "videodatainfo_2017.json", info(IDS))
    found = find_clips(read_annotations(settings_of(path)), paths)
    assert {split: len(members) for split, members in found.splits.items()} == SIZES
    assert {"video0", "video6512"} <= set(found.splits["train"])
    assert {"video6513", "video7009"} <= set(found.splits["val"])
    assert {"video7010", "video9999"} <= set(found.splits["test"])
    assert found.captions["video3"] == ["caption 1 of video3", "caption 0 of video3"]  # in the file's order
    assert (found.missing, found.notes) == ([], [])


def test_splits_of_the_file(tmp_path):
    split = dict(zip(IDS, ["test"] * 2990 + ["validate"] * 497 + ["train"] * 6513, strict=True))
    path = write(tmp_path / "MSRVTT_data.json", info(IDS, 1, split=split))
    annotations = read_annotations(settings_of(path, "file"))
    assert annotations.notes == []
    assert [annotations.split_of[i] for i in ("video0", "video2990", "video9999")] == ["test", "val", "train"]
    by_position = read_annotations(settings_of(path))
    assert [by_position.split_of[i] for i in ("video0", "video6513", "video9999")] == ["train", "val", "test"]


def test_nested_captions_whose_order_is_not_that_of_the_ids(tmp_path):
    paths = []
    for name, ids in (("train", IDS[:6513][::-1]), ("val", IDS[6513:7010]), ("test", IDS[7010:])):
        paths.append(write(tmp_path / f"{name}.json", {i: {"0": f"a {i}", "sen 1": "b"} for i in ids}))
    annotations = read_annotations(settings_of(paths))
    assert annotations.notes == []
    assert annotations.captions["video6512"] == ["a video6512", "b"]
    assert [annotations.split_of[i] for i in ("video0", "video6512", "video6513", "video7010")] == [
        "train", "train", "val", "test",
    ]  # fmt: skip


def test_ids_of_another_form_count_by_place(tmp_path):
    ids = [f"clip {number:05d}-\u00fc" for number in range(7011)]
    annotations = read_annotations(settings_of(write(tmp_path / "c.json", info(ids[::-1], 1))))
    assert [annotations.split_of[ids[-1 - place]] for place in (0, 6512, 6513, 7009, 7010)] == [
        "train", "train", "val", "val", "test",
    ]  # fmt: skip
    assert annotations.notes == ["train/val/test are annotated for 6513/497/1 clips, published for 6513/497/2990"]


@pytest.mark.parametrize(
    ("name", "start"), [("msr{}", 0), ("video{:05d}", 0), ("video{}", 1)], ids=["msr0", "video00000", "video1"]
)
def test_positions_are_numbers_however_the_clips_are_called(tmp_path, name, start):
    ids = [name.format(number + start) for number in range(10_000)]
    annotations = read_annotations(settings_of(write(tmp_path / "c.json", info(sorted(ids)[::-1], 1))))
    assert [annotations.split_of[ids[place]] for place in (0, 6512, 6513, 7009, 7010)] == [
        "train", "train", "val", "val", "test",
    ]  # fmt: skip
    assert annotations.notes == []


def test_splits_of_lists(tmp_path):
    ids = ["video0", "video6513", "video7010", "video9770"]
    path = write(tmp_path / "MSRVTT_data.json", info(ids, split=dict.fromkeys(ids, "train")))
    (tmp_path / "MSRVTT_train.9k.csv").write_text("video_id\n" + "\n".join(ids[:2]) + "\n")
    test = tmp_path / "MSRVTT_JSFUSION_test.csv"
    test.write_text(f"key,vid_key,video_id,sentence\nret0,msr9770,{ids[3]},a dog\n")
    lists = SplitLists(train=tmp_path / "MSRVTT_train.9k.csv", val=test, test=test)
    found = find_clips(read_annotations(settings_of(path, lists)), ids)
    assert found.splits == {"train": ids[:2], "val": [ids[3]], "test": [ids[3]]}
    assert found.captions[ids[3]] == ["caption 1 of video9770", "caption 0 of video9770"]  # all, not the list's own
    assert found.notes[0] == "with captions, but in no split: video7010"


def test_the_challenge_published_its_test_videos_without_sentences(tmp_path):
    train = write(tmp_path / "train_val_videodatainfo.json", info(["video0"], 1, split={"video0": "train"}))
    videos = [{"video_id": "video10000", "split": "test", "category": 3, "url": "https://example.org/x", "id": 10_000}]
    test = write(tmp_path / "test_videodatainfo.json", {"info": {}, "videos": videos})
    annotations = read_annotations(settings_of([train, test], "file"))
    found = find_clips(annotations, ["video0", "video10000"])
    assert found.captions == {"video0": ["caption 0 of video0"]}
    assert found.notes[0] == f"{test}: 1 videos without `sentences`"
    assert "in a split, but without captions: video10000" in found.notes


@pytest.mark.parametrize(
    "content",
    [
        {"v_a": {"duration": 12.5, "timestamps": [[0, 4.5]], "sentences": ["x"]}},
        {"database": {"a": {"subset": "training", "annotations": [{"segment": [3, 9], "sentence": "x"}]}}},
    ],
)
def test_files_for_another_kind_are_told(tmp_path, content):
    with pytest.raises(PipelineError, match="it looks like a file for `kind: dense_captions`"):
        read_annotations(settings_of(write(tmp_path / "c.json", content)))


@pytest.mark.parametrize(
    ("content", "splits", "message"),
    [
        ({"videos": []}, "position", "there is no `sentences` at its top"),
        ({"sentences": []}, "position", r"there is no `videos` at its top \(found `sentences`\)"),
        ([], "position", r"there is no `videos` at its top \(found no object\)"),
        ({}, "position", r"there is no `videos` at its top \(found nothing\)"),
        ({"videos": [{"id": 1}], "sentences": []}, "position", r"videos\[0\]: there is no `video_id`"),
        ({"videos": [{"video_id": "v"}], "sentences": []}, "file", r"videos\[0\]: there is no `split`"),
        (info(["v"], split={"v": "trial"}), "file", r"videos\[0\]: unknown split 'trial': expected train, training"),
        (info(["../v"]), "position", r"videos\[0\]: the id '\.\./v' would leave the data folder"),
        (
            {"videos": [], "sentences": [{"video_id": "v", "caption": "c"}]},
            "position",
            r"sentences\[0\]: v is not among the `videos`",
        ),
        (
            {"videos": [{"video_id": "v"}], "sentences": [{"video_id": "v", "text": "c"}]},
            "position",
            r"sentences\[0\]: there is no `caption`",
        ),
        ({"v": ["c"]}, "position", r"v: expected `videos` and `sentences`, or id -> \{sentence: caption\}"),
        ({"v": {"0": 5}}, "position", "v: 0: the caption of v must be a text, not 5"),
        ({"v": {"0": "c"}}, "file", r"id -> \{sentence: caption\} names no split: write `splits: position`"),
    ],
)
def test_malformed_annotations_are_named_in_a_line(tmp_path, content, splits, message):
    path = write(tmp_path / "c.json", content)
    with pytest.raises(PipelineError, match=rf"c\.json: {message}") as raised:
        read_annotations(settings_of(path, splits))
    assert "\n" not in str(raised.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(PipelineError, match=r"`captions: .*c\.json`: there is no such file"):
        read_annotations(settings_of(tmp_path / "c.json"))
