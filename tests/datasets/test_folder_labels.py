from collections import Counter
from pathlib import Path

import pytest

from pipeline.artifact.video_table import Clip
from pipeline.config import FolderSettings, Splits
from pipeline.datasets.folder import hashed_split
from pipeline.datasets.folder_labels import read_labels
from pipeline.errors import PipelineError
from pipeline.video.interval import Interval

SHARES = Splits(train=0.6, val=0.2, test=0.2)


def read(names, labels="folders", splits=SHARES, captions=None):
    clips = {name: Clip(name, name, Path("data") / name, 1, None) for name in names}
    about = {"kind": "folder", "shards": 1, "videos": Path("data"), "captions": captions}
    return read_labels(FolderSettings(**about, labels=labels, splits=splits), clips)


def table(folder, text, name="metadata.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_folder_a_class():
    names = ["walk/a.mp4", "run/b.mp4", "run/deep/c.mp4", "train/d.mp4", "top.mp4"]
    labelling = read(names)
    assert labelling.heads == {"class": ["run", "train", "walk"]}  # a vehicle
    assert labelling.labels == {"run/b.mp4": [0], "run/deep/c.mp4": [0], "train/d.mp4": [1], "walk/a.mp4": [2]}
    assert labelling.split_of.keys() == labelling.labels.keys()
    assert labelling.notes == ["in no folder of a class, and so without a label: top.mp4"]


def test_a_whole_file_is_in_the_split_of_its_intervals(tmp_path):
    parts = {"whole": None, "begin": Interval(0.0, 1.0), "end": Interval(1.0, None)}
    clips, rows = {}, ["video,label"]
    for number in range(12):
        for name, interval in parts.items():
            clip = f"{name} {number}"
            clips[clip] = Clip(clip, f"{number}.mp4", tmp_path / f"{number}.mp4", 1, interval)
            rows.append(f"{clip},{'run' if number % 2 else 'walk'}")
    about = {"kind": "folder", "shards": 1, "videos": tmp_path, "captions": None, "splits": SHARES}
    split_of = read_labels(FolderSettings(**about, labels=table(tmp_path, "\n".join(rows))), clips).split_of
    assert {len({split_of[f"{name} {number}"] for name in parts}) for number in range(12)} == {1}


def test_classes_of_equal_numbers_have_one_order():
    """That of a set differs from run to run, and with it the meaning of a model's outputs."""
    names = ["7", "07", "007", "0007", "00007", "10", "9"]
    assert read([f"{name}/a.mp4" for name in names]).heads == {"class": ["00007", "0007", "007", "07", "7", "9", "10"]}


def test_splits_are_drawn_class_by_class():
    names = [
        f"{name}/{number}.mp4" for name, count in (("run", 10), ("sit", 3), ("walk", 1)) for number in range(count)
    ]
    split_of = read(names).split_of
    counted = Counter((name.split("/")[0], split) for name, split in split_of.items())
    assert counted == {
        ("run", "train"): 6,
        ("run", "val"): 2,
        ("run", "test"): 2,
        ("sit", "train"): 1,
        ("sit", "val"): 1,
        ("sit", "test"): 1,
        ("walk", "train"): 1,
    }
    assert read(names[::-1]).split_of == split_of
    assert set(read(names, splits=Splits(train=0.8, val=0.2, test=0.0)).split_of.values()) == {"train", "val"}


def test_a_data_set_with_captions_has_the_splits_of_these(tmp_path):
    names = [f"{name}/{number}.mp4" for name in ("run", "walk") for number in range(10)]
    hashed = {name: hashed_split(name, SHARES) for name in names}
    captions = table(tmp_path, "video,caption\nrun/1,a dog\n")
    assert read(names, captions=captions).split_of == hashed
    captions = table(tmp_path, "video,caption,split\nrun/1,a dog,val\nrun/2,a dog,test\n")
    assert read(names, captions=captions).split_of == hashed | {"run/1.mp4": "val", "run/2.mp4": "test"}


def test_folders_of_splits():
    labelling = read(["train/run/a.mp4", "Validation/run/b.mp4", "test/walk/c.mp4", "train/d.mp4"])
    assert labelling.heads == {"class": ["run", "walk"]}
    assert labelling.labels == {"train/run/a.mp4": [0], "Validation/run/b.mp4": [0], "test/walk/c.mp4": [1]}
    assert labelling.split_of == {"train/run/a.mp4": "train", "Validation/run/b.mp4": "val", "test/walk/c.mp4": "test"}
    assert labelling.notes == ["in no folder of a class, and so without a label: train/d.mp4"]


def test_validation_is_cut_where_folders_name_none():
    names = [f"train/{name}/{number}.mp4" for name in ("run", "walk") for number in range(4)] + ["test/run/9.mp4"]
    labelling = read(names)
    of_val = [name for name, split in labelling.split_of.items() if split == "val"]
    assert sorted(name.split("/")[1] for name in of_val) == ["run", "walk"]
    assert labelling.split_of["test/run/9.mp4"] == "test"
    assert labelling.notes == ["validation is cut from training: 2 of 8 clips"]
    without = read(names, splits=Splits(train=0.8, val=0.0, test=0.2))
    assert "val" not in without.split_of.values()


def test_a_table(tmp_path):
    text = "file_name,class,who\na,walk,me\nsub/b.mp4,run,you\nvanished.avi,run,you\nc.mp4,,me\n"
    labelling = read(["a.mp4", "sub/b.mp4", "c.mp4"], table(tmp_path, text))
    assert labelling.heads == {"class": ["run", "walk"]}
    assert labelling.labels == {"a.mp4": [1], "sub/b.mp4": [0], "vanished.avi": [0]}
    path = tmp_path / "metadata.csv"
    assert labelling.notes == [
        f"{path}: 1 labels are empty or null, and left out",
        f"{path}: columns that are not read: who",
        f"{path} has labels of 1 unknown videos: vanished.avi (line 4)",
    ]


def test_a_table_with_splits_in_lines_of_json(tmp_path):
    text = '{"video": "a", "label": 10, "split": "train"}\n{"video": "b", "label": 9, "split": "validation"}\n'
    labelling = read(["a.mp4", "b.mp4"], table(tmp_path, text, "metadata.jsonl"))
    assert labelling.heads == {"class": ["9", "10"]}
    assert labelling.split_of == {"a.mp4": "train", "b.mp4": "val"}


@pytest.mark.parametrize("told", [False, True])
def test_clips_of_one_file_stay_together(tmp_path, told):
    captions = table(tmp_path, "video,caption\nwalk/1,a dog\n") if told else None
    names = {f"{number}@{start}": number for number in range(4) for start in range(3)}
    clips = {
        name: Clip(name, f"run/{of}.mp4", Path(f"data/run/{of}.mp4"), 1, Interval(0.0, 1.0))
        for name, of in names.items()
    }
    clips |= {f"walk/{of}": Clip(f"walk/{of}", f"walk/{of}", Path(f"data/walk/{of}"), 1, None) for of in range(9)}
    about = {"kind": "folder", "shards": 1, "videos": Path("data"), "captions": captions}
    labelling = read_labels(FolderSettings(**about, labels="folders", splits=SHARES), clips)
    splits = [{labelling.split_of[f"{number}@{start}"] for start in range(3)} for number in range(4)]
    assert all(len(of) == 1 for of in splits)
    assert labelling.groups == {name: f"run/{of}.mp4" for name, of in names.items()}
    if captions is None:
        assert sorted(split for (split,) in splits) == ["test", "train", "train", "val"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.mp4", "b.mp4"], "no video of data lies in a folder of its class, `Class/a.mp4`: found a.mp4, b.mp4"),
        (
            ["train/x/a.mp4", "test/x/b.mp4", "walk/c.mp4"],
            r"called as splits are .test, train., and others beside.*walk",
        ),
    ],
)
def test_folders_that_tell_no_class(names, message):
    with pytest.raises(PipelineError, match=message):
        read(names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,label\na,run\na,walk\n", r"csv:3: a is 'walk' here and 'run' at .*csv:2: a clip has one label"),
        ("video,label,split\na,run,train\nb,walk,\n", r"csv:3: b is in no split, other videos are"),
        ("video,label,split\na,run,train\na,run,test\n", r"csv:3: a.mp4 is in split test here and in train at"),
        ("video,label,split\na,run,trial\n", r"csv:2: unknown split 'trial'"),
        ("video,lebal\na,run\n", r"csv:1: expected the header `video,label` or `video,label,split`, found"),
        ("video,label\nx,run\ny,walk\n", "has labels of 2 unknown videos: x .*: no row names a video that is there"),
        ("video,label\n", "no row with a label in it"),
        ("", "expected the header"),
    ],
)
def test_mistakes_of_a_table(tmp_path, text, message):
    with pytest.raises(PipelineError, match=message):
        read(["a.mp4", "b.mp4"], table(tmp_path, text))


def test_other_tables(tmp_path):
    with pytest.raises(PipelineError, match=r"`labels: .*none.csv`: there is no such file"):
        read(["a.mp4"], tmp_path / "none.csv")
    with pytest.raises(
        PipelineError, match=r"x.jsonl:1: there is no `label` .is it `labels`.*: expected .*\"label\": ..."
    ):
        read(["a.mp4"], table(tmp_path, '{"video": "a", "labels": "x"}\n', "x.jsonl"))
    with pytest.raises(PipelineError, match=r"y.jsonl:1: `label` is \['x'\]: expected the name of a class"):
        read(["a.mp4"], table(tmp_path, '{"video": "a", "label": ["x"]}\n', "y.jsonl"))
    (tmp_path / "utf16.csv").write_text("video,label\na,run\n", encoding="utf-16")
    with pytest.raises(PipelineError, match="not UTF-8"):
        read(["a.mp4"], tmp_path / "utf16.csv")
