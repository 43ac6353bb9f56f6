import json

import pytest
import yaml

from pipeline.artifact import write_json
from pipeline.config import CocoCaptionsSettings, FolderSettings, SplitLists, Splits, validate
from pipeline.errors import PipelineError
from pipeline.stages.index_captions import run


@pytest.fixture
def tables(tmp_path):
    for shard, ids in enumerate((["a.mp4"], ["b.mp4", "c.mp4"])):
        videos = [{"id": video_id, "path": video_id, "size": 1} for video_id in ids]
        write_json(tmp_path / f"{shard}.json", {"root": "data", "videos": videos})
    return [tmp_path / "0.json", tmp_path / "1.json"]


def folder_settings(captions):
    splits = Splits(train=1.0, val=0.0, test=0.0)
    return FolderSettings(kind="folder", shards=2, videos=captions.parent, captions=captions, splits=splits)


def test_captions_of_a_folder(tmp_path, tables, capsys):
    (tmp_path / "c.csv").write_text("video,caption\nb,one\na,two\nb,three\n")
    run(tmp_path / "out.json", folder_settings(tmp_path / "c.csv"), videos=tables, made=[])
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "captions": {"a.mp4": ["two"], "b.mp4": ["one", "three"]},
        "splits": {"train": ["a.mp4", "b.mp4"], "val": [], "test": []},
        "missing": [],
        "annotated": {"train": 2, "val": 0, "test": 0},
        "notes": [],
    }
    out, err = capsys.readouterr()
    assert out == "3 videos, 2 of them with 3 captions; train 2, val 0, test 0\n"
    assert err.count("WARNING: no video in split") == 2


def test_captions_are_cleaned_for_all_that_read_them(tmp_path, tables, capsys):
    (tmp_path / "c.csv").write_text("video,caption\na,salt &amp; pepper\nb,nan\nb,a dog\u200bruns\nc,nan\n")
    run(tmp_path / "out.json", folder_settings(tmp_path / "c.csv"), videos=tables, made=[])
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["captions"] == {"a.mp4": ["salt & pepper"], "b.mp4": ["a dog runs"]}
    assert found["splits"]["train"] == ["a.mp4", "b.mp4"]
    assert "WARNING: captions that say nothing, such as `nan` or `NULL`: 2 are left out" in capsys.readouterr().err


def test_a_split_that_experiments_need_must_have_videos(tmp_path, tables, capsys):
    (tmp_path / "c.csv").write_text("video,caption,split\na,one,train\nb,nan,val\nc,three,test\n")
    settings, needed = folder_settings(tmp_path / "c.csv"), ["train", "val", "test"]
    message = r"need videos of split val, .* \(videos of those annotated: train 1 of 1, val 0 of 1, test 1 of 1\)"
    with pytest.raises(PipelineError, match=message):
        run(tmp_path / "out.json", settings, videos=tables, made=[], needed=needed)
    assert not (tmp_path / "out.json").exists()
    (tmp_path / "c.csv").write_text("video,caption,split\na,one,train\nb,two,val\nc,three,test\n")
    run(tmp_path / "out.json", settings, videos=tables, made=[], needed=needed[:2])
    assert "WARNING: nothing is scored on 1 videos of split test" in capsys.readouterr().err
    (tmp_path / "c.csv").write_text("video,caption,split\na,one,train\nb,two,val\n")
    with pytest.raises(PipelineError, match=r"split test, .* say `test: null`"):
        run(tmp_path / "out.json", settings, videos=tables, made=[], needed=needed)


def test_captions_of_an_unknown_video_write_nothing(tmp_path, tables):
    (tmp_path / "c.csv").write_text("video,caption\nd,one\n")
    with pytest.raises(PipelineError, match="1 unknown videos: d"):
        run(tmp_path / "out.json", folder_settings(tmp_path / "c.csv"), videos=tables, made=[])
    assert not (tmp_path / "out.json").exists()


def test_captions_of_generated_videos(tmp_path, tables, pytestconfig):
    config = validate(yaml.safe_load((pytestconfig.rootpath / "config.yaml").read_text(encoding="utf-8")))
    videos = [
        {"id": name, "file": f"{name}", "size": 1, "sha256": "0", "split": split, "captions": [f"it is {name}"]}
        for name, split in (("a.mp4", "train"), ("b.mp4", "val"), ("c.mp4", "test"))
    ]
    for video in videos:
        (tmp_path / video["file"]).write_bytes(b"x")
    write_json(tmp_path / "list.json", {"videos": videos})
    run(tmp_path / "out.json", config.datasets["shapes"], videos=tables, made=[tmp_path / "list.json"])
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "captions": {"a.mp4": ["it is a.mp4"], "b.mp4": ["it is b.mp4"], "c.mp4": ["it is c.mp4"]},
        "splits": {"train": ["a.mp4"], "val": ["b.mp4"], "test": ["c.mp4"]},
        "missing": [],
        "annotated": {"train": 1, "val": 1, "test": 1},
        "notes": [],
    }


def test_annotated_videos_without_a_file_are_listed(tmp_path, tables, capsys):
    path = tmp_path / "c.json"
    images = [{"id": number, "file_name": f"{name}.mp4"} for number, name in enumerate(["a.mp4", "gone"])]
    annotations = [{"image_id": number, "caption": f"caption {number}"} for number in range(2)]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    lists = SplitLists(train=path, val=path, test=None)
    settings = CocoCaptionsSettings(kind="coco_captions", shards=2, videos=tmp_path, captions=lists)
    with pytest.raises(PipelineError, match=r"a\.mp4 is in split val here and in train before"):
        run(tmp_path / "out.json", settings, videos=tables, made=[])
    (tmp_path / "v.json").write_text(json.dumps({"images": [], "annotations": []}))
    settings = settings.model_copy(update={"captions": SplitLists(train=path, val=tmp_path / "v.json", test=None)})
    run(tmp_path / "out.json", settings, videos=tables, made=[])
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "captions": {"a.mp4": ["caption 0"]},
        "splits": {"train": ["a.mp4"], "val": [], "test": []},
        "missing": ["gone"],
        "annotated": {"train": 2, "val": 0, "test": 0},
        "notes": [],
    }
    assert "WARNING: captions, but no file: gone\n" in capsys.readouterr().err
