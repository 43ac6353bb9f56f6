import json
from pathlib import Path

import pytest

from pipeline.artifact import read_json, write_json
from pipeline.artifact.video_table import read_clips
from pipeline.config import ClipForm
from pipeline.datasets.sharding import shard_of
from pipeline.errors import PipelineError
from pipeline.stages.index_videos import below_one_folder, run, shapes_table


def test_every_video_is_in_the_shard_of_its_id(tmp_path, capsys):
    (tmp_path / "my videos" / "sub").mkdir(parents=True)
    names = [f"-v {number}.mp4" for number in range(9)] + ["sub/v.webm"]
    for name in names:
        (tmp_path / "my videos" / name).write_bytes(b"xy")
    found = []
    for shard in range(3):
        out = tmp_path / "tables" / f"{shard}.json"
        run(out, shard=shard, shards=3, kind="folder", made=[], source=[tmp_path / "my videos"], mapping=[])
        table = json.loads(out.read_text())
        assert table["root"] == str(tmp_path / "my videos")
        assert table["videos"] == sorted(table["videos"], key=lambda video: video["id"])
        for video in table["videos"]:
            assert shard_of(video["id"], 3) == shard
            assert video == {"id": video["id"], "path": video["id"], "size": 2}
        found += [video["id"] for video in table["videos"]]
    assert sorted(found) == sorted(names)
    assert "shard 0:" in capsys.readouterr().out


def test_the_root_is_written_as_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.mp4").write_bytes(b"xy")
    (tmp_path / "data" / "list.txt").write_text("a.mp4\n")
    monkeypatch.chdir(tmp_path)
    for source in ("data", "data/list.txt"):
        run(tmp_path / "t.json", shard=0, shards=1, kind="folder", made=[], source=[Path(source)], mapping=[])
        expected = {"root": "data", "videos": [{"id": "a.mp4", "path": "a.mp4", "size": 2}]}
        assert json.loads((tmp_path / "t.json").read_text()) == expected


def test_the_table_of_generated_videos_holds_their_digests(tmp_path):
    (tmp_path / "s1.mp4").write_bytes(b"xyz")
    video = {"id": "s1", "file": "s1.mp4", "size": 3, "sha256": "12ab", "split": "train", "captions": ["c"]}
    write_json(tmp_path / "list.json", {"videos": [video]})
    assert shapes_table(tmp_path / "list.json") == {
        "root": tmp_path.as_posix(),
        "videos": [{"id": "s1", "path": "s1.mp4", "size": 3, "sha256": "12ab"}],
    }


def test_a_missing_folder(tmp_path):
    with pytest.raises(PipelineError, match="no such folder"):
        run(tmp_path / "t.json", shard=0, shards=3, kind="folder", made=[], source=[tmp_path / "nowhere"], mapping=[])
    assert not (tmp_path / "t.json").exists()


def test_clips_of_a_published_data_set_have_the_ids_of_its_mapping(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "-a b_0_5.avi").write_bytes(b"xy")
    (tmp_path / "mapping.txt").write_text("-a b_0_5 vid1\n")
    source, mapping = [tmp_path / "clips"], [tmp_path / "mapping.txt"]
    run(tmp_path / "t.json", shard=0, shards=1, kind="msvd", made=[], source=source, mapping=mapping)
    table = json.loads((tmp_path / "t.json").read_text())
    assert table == {
        "root": str(tmp_path / "clips"),
        "videos": [{"id": "vid1", "path": "-a b_0_5.avi", "size": 2}],
    }


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a.mp4", "b/c.mp4"], ("data/lists", ["a.mp4", "b/c.mp4"])),
        (["../a.mp4", "b.mp4"], ("data", ["a.mp4", "lists/b.mp4"])),
        (["../x/a.mp4", "../x/b.mp4"], ("data/x", ["a.mp4", "b.mp4"])),
        (["../../a.mp4"], (".", ["a.mp4"])),
        (["../../x/a.mp4", "b.mp4"], (".", ["x/a.mp4", "data/lists/b.mp4"])),
        (["/v/x/a.mp4", "/v/b.mp4"], ("/v", ["x/a.mp4", "b.mp4"])),
        (["..a.mp4"], ("data/lists", ["..a.mp4"])),
        ([], ("data/lists", [])),
    ],
)
def test_no_path_leads_out_of_the_root(paths, expected):
    assert below_one_folder(Path("data/lists"), paths) == expected


def test_files_that_a_list_names_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    for name in ("here/a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"xy")
    (tmp_path / "here/list.txt").write_text("a.mp4\n../b.mp4\n")
    monkeypatch.chdir(tmp_path / "here")
    run(tmp_path / "t.json", shard=0, shards=1, kind="folder", made=[], source=[Path("list.txt")], mapping=[])
    table = json.loads((tmp_path / "t.json").read_text())
    assert {video["id"] for video in table["videos"]} == {"a.mp4", "../b.mp4"}
    assert all((Path(table["root"]) / video["path"]).is_file() for video in table["videos"])
    assert read_json(tmp_path / "t.json", ["videos"], "index_videos") == table


def test_intervals_stand_in_the_table_and_their_file_is_counted_once(tmp_path, capsys):
    (tmp_path / "talk.mp4").write_bytes(b"x" * 2_000_000)
    (tmp_path / "clips.tsv").write_text("video\tstart\tstop\ntalk.mp4\t5\t\ntalk.mp4\t\t5.25\n")
    run(tmp_path / "t.json", shard=0, shards=1, kind="folder", made=[], source=[tmp_path / "clips.tsv"], mapping=[])
    assert json.loads((tmp_path / "t.json").read_text())["videos"] == [
        {"id": "talk.mp4@0-5.25", "path": "talk.mp4", "size": 2_000_000, "start": 0.0, "stop": 5.25},
        {"id": "talk.mp4@5-", "path": "talk.mp4", "size": 2_000_000, "start": 5.0},
    ]
    assert capsys.readouterr().out == "shard 0: 2 videos, 2.0 MB\n"


def test_clips_that_are_folders_of_frames(tmp_path):
    for clip, numbers in {"a": (1, 2), "b": (1, 3)}.items():
        (tmp_path / "data" / clip).mkdir(parents=True)
        for number in numbers:
            (tmp_path / "data" / clip / f"{number:05d}.jpg").write_bytes(b"xyz")
    (tmp_path / "list.txt").write_text("a 2 0\nb 3 1\ngone 5 1\n")
    form = ClipForm(frames="%05d.jpg", separator="space", num_labels=1)
    about = {"kind": "labelled_list", "made": [], "source": [tmp_path / "data"], "mapping": [tmp_path / "list.txt"]}
    run(tmp_path / "out.json", 0, 1, **about, form=form)
    table = json.loads((tmp_path / "out.json").read_text())
    assert table["videos"] == [
        {"id": "a", "path": "a", "size": 6, "pattern": "%05d.jpg", "frames": 2},
        {"id": "b", "path": "b", "size": 6, "pattern": "%05d.jpg", "frames": 3, "lacking": 1},
    ]
    assert list(read_clips(tmp_path / "out.json")) == ["a", "b"]
