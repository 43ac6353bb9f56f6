import json

import pytest

from pipeline.artifact import write_json
from pipeline.errors import PipelineError
from pipeline.stages.check_dataset import run

INDEX = {
    "captions": {"a": ["one", "two"], "b": ["three"], "c-1": ["four", "five", "six"]},
    "splits": {"train": ["a", "b"], "val": [], "test": []},
    "missing": [f"m{number}" for number in range(7)],
    "annotated": {"train": 1200, "val": 1, "test": 0},
    "notes": ["with captions, but in no split: c-1"],
}
LABELS = {
    "heads": {"class": ["jump", "run", "sit", "walk"]},
    "labels": {"a": [1], "b": [1], "c-1": [3]},
    "splits": {"train": ["a", "b"], "val": ["c-1"], "test": []},
    "missing": ["m0"],
    "annotated": {"train": 2, "val": 2, "test": 0},
    "notes": ["class: in val, but not in train, where nothing is learned of them: walk"],
    "flips": {"class": [0, 1, 2, 3]},
    "groups": {},
}


@pytest.fixture
def written(tmp_path):
    sizes = {"a": 1_500_000, "b": 1, "c-1": 2, "silent": 3}
    for shard, ids in enumerate((["a", "silent"], ["b", "c-1"])):
        videos = [{"id": video_id, "path": video_id, "size": sizes[video_id]} for video_id in ids]
        write_json(tmp_path / f"{shard}.json", {"root": "data", "videos": videos})
    write_json(tmp_path / "captions.json", INDEX)
    return [tmp_path / "0.json", tmp_path / "1.json"], tmp_path / "captions.json"


def check(folder, videos, captions):
    run(folder / "o.json", folder / "o.txt", "mine", "msvd", videos, [captions], [], passed_over=[])


def test_counts(tmp_path, written):
    videos, captions = written
    check(tmp_path, videos, captions)
    assert json.loads((tmp_path / "o.json").read_text()) == {
        "name": "mine",
        "kind": "msvd",
        "videos": 4,
        "bytes": 1_500_006,
        "captioned": 3,
        "captions": 6,
        "captions_per_video": 2.0,
        "splits": {
            "train": {"videos": 2, "annotated": 1200, "captions": 3},
            "val": {"videos": 0, "annotated": 1, "captions": 0},
            "test": {"videos": 0, "annotated": 0, "captions": 0},
        },
        "uncaptioned": ["silent"],
        "missing": INDEX["missing"],
        "passed_over": [],
        "notes": INDEX["notes"],
    }


def test_what_is_passed_over_has_its_lines(tmp_path, written):
    videos, captions = written
    lines = ["2 files are not called as videos are (2 .txt)", "a link that leads nowhere: gone.mp4"]
    run(tmp_path / "o.json", tmp_path / "o.txt", "mine", "msvd", videos, [captions], [], passed_over=lines)
    assert json.loads((tmp_path / "o.json").read_text())["passed_over"] == lines
    assert [line for line in (tmp_path / "o.txt").read_text().splitlines() if "passed over" in line] == [
        "  passed over: 2 files are not called as videos are (2 .txt)",
        "  passed over: a link that leads nowhere: gone.mp4",
    ]


def test_the_table(tmp_path, written, capsys, monkeypatch):
    videos, captions = written
    monkeypatch.chdir(tmp_path)
    check(tmp_path, videos, captions)
    text = (tmp_path / "o.txt").read_text()
    assert text == capsys.readouterr().out
    assert text.replace(str(tmp_path), ".").splitlines() == [
        "mine (msvd): 4 videos, 1.5 MB",
        "                  videos    captions     a video         missing",
        "  train                2           3         1.5  1,198 of 1,200",
        "  val                  0           0           -          1 of 1",
        "  test                 0           0           -               0",
        "  no split             1           3         3.0",
        "  all                  3           6         2.0",
        "  captions, but no file: 7 videos: m0, m1, m2, m3, m4 and 2 more (./o.json lists them)",
        "  no captions: 1 video: silent",
        "  note: with captions, but in no split: c-1",
        "",
    ]


def test_captions_of_an_older_version_are_refused(tmp_path, written):
    videos, captions = written
    write_json(captions, {"captions": {}, "splits": {}})
    with pytest.raises(PipelineError, match="lacks missing, annotated, notes: delete it and run index_captions"):
        run(
            tmp_path / "o.json",
            tmp_path / "o.txt",
            name="mine",
            kind="msvd",
            videos=videos,
            captions=[captions],
            labels=[],
            passed_over=[],
        )


def test_a_file_of_several_clips_is_counted_once(tmp_path, written):
    _, captions = written
    clips = [{"id": i, "path": "long.mp4", "size": 2_000_000, "start": n} for n, i in enumerate(["a", "b", "c-1"])]
    for shard, members in enumerate((clips[:2], clips[2:])):
        write_json(tmp_path / f"{shard}.json", {"root": "data", "videos": members})
    tables = [tmp_path / "0.json", tmp_path / "1.json"]
    run(
        tmp_path / "o.json",
        tmp_path / "o.txt",
        name="mine",
        kind="folder",
        videos=tables,
        captions=[captions],
        labels=[],
        passed_over=[],
    )
    assert (tmp_path / "o.txt").read_text().startswith("mine (folder): 3 videos, 2.0 MB\n")


def test_labels_by_split_and_class(tmp_path, written):
    videos, _ = written
    write_json(tmp_path / "labels.json", LABELS)
    run(tmp_path / "o.json", tmp_path / "o.txt", "mine", "ucf101", videos, [], [tmp_path / "labels.json"], [])
    found = json.loads((tmp_path / "o.json").read_text())
    assert "captions" not in found
    assert found["labels"] == {
        "labelled": 3,
        "unlabelled": ["silent"],
        "missing": ["m0"],
        "splits": {
            "train": {"videos": 2, "annotated": 2},
            "val": {"videos": 1, "annotated": 2},
            "test": {"videos": 0, "annotated": 0},
        },
        "classes": {
            "class": {
                "jump": {"train": 0, "val": 0, "test": 0},
                "run": {"train": 2, "val": 0, "test": 0},
                "sit": {"train": 0, "val": 0, "test": 0},
                "walk": {"train": 0, "val": 1, "test": 0},
            }
        },
    }
    assert (tmp_path / "o.txt").read_text().splitlines() == [
        "mine (ucf101): 4 videos, 1.5 MB",
        "  labels          videos     missing",
        "  train                2           0",
        "  val                  1      1 of 2",
        "  test                 0           0",
        "  all                  3",
        "  class: 4 classes; train has 2 videos of one; train has none of 3: jump, sit, walk; val has none of 3: jump, "
        "run, sit",
        "  labels, but no file: 1 video: m0",
        "  no label: 1 video: silent",
        "  note: class: in val, but not in train, where nothing is learned of them: walk",
        "",
    ]


def test_captions_and_labels_of_one_data_set(tmp_path, written):
    videos, captions = written
    write_json(tmp_path / "labels.json", LABELS)
    run(tmp_path / "o.json", tmp_path / "o.txt", "mine", "folder", videos, [captions], [tmp_path / "labels.json"], [])
    found = json.loads((tmp_path / "o.json").read_text())
    assert (found["captioned"], found["labels"]["labelled"]) == (3, 3)
    assert found["notes"] == [*INDEX["notes"], *LABELS["notes"]]
