import json

import pytest
import yaml

from pipeline.__main__ import main
from pipeline.artifact import write_json
from pipeline.artifact.video_table import Clip
from pipeline.config import validate
from pipeline.errors import PipelineError
from pipeline.stages.index_labels import lacking_frames, run
from pipeline.video.frame_files import FrameFiles

CLIPS = [  # split and action of the first object
    ("train", "moves left"),
    ("train", "moves right"),
    ("val", "grows"),
    ("test", "moves left"),
]


@pytest.fixture
def shapes(pytestconfig):
    raw = yaml.safe_load((pytestconfig.rootpath / "config.yaml").read_text(encoding="utf-8"))
    return validate(raw).datasets["shapes"]


@pytest.fixture
def made(tmp_path):
    lists, truths = [], []
    for shard in range(2):
        folder = tmp_path / f"{shard}"
        folder.mkdir()
        videos, told = [], {}
        for number, (split, action) in enumerate(CLIPS):
            if number % 2 == shard:
                name = f"v{number}"
                (folder / f"{name}.mp4").write_bytes(b"x")
                about = {"size": 1, "sha256": "0", "split": split, "captions": ["c"]}
                videos.append({"id": name, "file": f"{name}.mp4"} | about)
                told[name] = {"objects": [{"action": action}, {"action": None}]}
        write_json(folder / "list.json", {"videos": videos})
        write_json(folder / "truth.json", {"videos": told})
        lists.append(folder / "list.json")
        truths.append(folder / "truth.json")
    return lists, truths


def test_the_label_of_shapes_is_the_action_of_the_first_object(tmp_path, shapes, made, capsys):
    run(tmp_path / "out.json", shapes, [], *made, needed=["train", "val", "test"])
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["heads"] == {"class": shapes.actions}
    assert {clip: shapes.actions[number] for clip, (number,) in found["labels"].items()} == {
        f"v{number}": action for number, (_, action) in enumerate(CLIPS)
    }
    assert found["splits"] == {"train": ["v0", "v1"], "val": ["v2"], "test": ["v3"]}
    flips = found["flips"]["class"]
    mirrored = {name: shapes.actions[number] for name, number in zip(shapes.actions, flips, strict=True)}
    assert {name: other for name, other in mirrored.items() if name != other} == {
        "moves left": "moves right",
        "moves right": "moves left",
    }
    out = capsys.readouterr().out
    assert out == "4 clips, 4 of them labelled; classes: 9 of class; train 2, val 1, test 1\n"


def test_a_truth_of_other_actions_is_refused(tmp_path, shapes, made):
    lists, truths = made
    write_json(truths[0], {"videos": {"v0": {"objects": [{"action": "sleeps"}]}}})
    with pytest.raises(PipelineError, match=r"truth.json: it tells no action of the settings for v0: delete it"):
        run(tmp_path / "out.json", shapes, [], lists, truths)
    assert not (tmp_path / "out.json").exists()


def test_splits_that_experiments_need(tmp_path, shapes, made):
    lists, truths = (of[:1] for of in made)  # v0 and v2: one clip of train, none of test
    with pytest.raises(
        PipelineError,
        match=r"need labelled clips of split test, .* \(.*: train 1 of 1, val 1 of 1, test.*say `test: null`",
    ):
        run(tmp_path / "out.json", shapes, [], lists, truths, needed=["train", "val", "test"])
    with pytest.raises(PipelineError, match="all training clips that are there are of one class, 'moves left'"):
        run(tmp_path / "out.json", shapes, [], lists, truths, needed=["train", "val"])
    run(tmp_path / "out.json", shapes, [], lists, truths)
    assert (tmp_path / "out.json").exists()


def test_a_test_split_that_nothing_is_scored_on_is_told(tmp_path, shapes, made, capsys):
    run(tmp_path / "out.json", shapes, [], *made, needed=["train", "val"])
    assert "WARNING: nothing is scored on 1 clips of split test, because the settings" in capsys.readouterr().err


def test_clips_that_lack_frames_are_told(tmp_path):
    clips = {
        "a": Clip("a", "a", tmp_path / "a", 1, None, FrameFiles("%d.jpg", count=4), 2),
        "b": Clip("b", "b", tmp_path / "b", 1, None, FrameFiles("%d.jpg")),
    }
    assert lacking_frames(clips) == ["2 frames are missing, of 1 clips: a"]
    assert lacking_frames({"b": clips["b"]}) == []


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ("a.mp4 0\nb.mp4 7\n", "train.txt:2: the class of b.mp4 is 7: expected 0 to 1, for there are 2 classes"),
        ("a.mp4 1\nb.mp4 2\n", "`first_label: 0`: the labels of class go from 1 to 2, and there are 2 classes"),
        ("a.mp4,0\nb.mp4,1\n", "train.txt:1: expected path and label, separated by a space, found 'a.mp4,0'"),
        ("a.mp4 0\nc.mp4 1\n", "val.txt:1: c.mp4 is in split val here and in train before: keep it in one"),
        ("a.mp4 1\nb.mp4 1\n", "all 3 labelled clips are of one class, 'run'"),
    ],
)
def test_mistakes_of_the_user_are_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, train, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.txt").write_text(train)
    (tmp_path / "val.txt").write_text("c.mp4 1\n")
    (tmp_path / "classes.txt").write_text("jump\nrun\n")
    clips = [{"id": f"{name}.mp4", "path": f"{name}.mp4", "size": 1} for name in "abc"]
    write_json(tmp_path / "videos.json", {"root": "data", "videos": clips})
    settings = {
        "kind": "labelled_list",
        "shards": 1,
        "videos": "data",
        "annotations": {"train": "train.txt", "val": "val.txt", "test": None},
        "separator": "space",
        "heads": ["class"],
        "first_label": 0,
        "classes": {"class": "classes.txt"},
        "frames": None,
    }
    flags = ["--settings", json.dumps(settings), "--videos", "videos.json", "--made", "--truth", "--out", "out.json"]
    assert main(["index_labels", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: index_labels: ")
    assert said in line
    assert not (tmp_path / "out.json").exists()
