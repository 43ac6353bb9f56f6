"""Both ways of the benchmark write the same data, and the table says what was measured."""

import json

import pytest

from benchmarks import commit_overhead
from benchmarks.commit_overhead import STAGES, WAYS, camera_clips, digest_of, make, run_again, run_stage
from pipeline.artifact import decoded_videos


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """Three generated videos and one of a camera."""
    clips = [clip for clip in camera_clips() if clip.stem == "carphone_pristine"]
    folder = tmp_path_factory.mktemp("overhead")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit_overhead, "camera_clips", lambda: clips)
        patch.setattr(commit_overhead, "CAMERA_COPIES", 1)
        make(folder, 3)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_both_ways_write_the_same(shard, stage):
    for way in WAYS:
        seconds = run_stage(stage, way, shard, shard / f"{stage}.{way}.zarr")
        assert seconds["wall"] > 0
        assert seconds["cpu"] > 0
    stores = [shard / f"{stage}.{way}.zarr" for way in WAYS]
    assert digest_of(shard, stage, "committed") == digest_of(shard, stage, "plain")
    files = [
        {path.relative_to(store): path.read_bytes() for path in store.rglob("*") if path.is_file()} for store in stores
    ]
    assert files[0] == files[1]
    assert len(json.loads((stores[0] / "zarr.json").read_text())["attributes"]["ids"]) == 4


def test_the_plain_way_neither_commits_nor_starts_workers(shard, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("not the plain way")

    monkeypatch.setattr(commit_overhead.Writer, "append", refuse)
    monkeypatch.setattr(decoded_videos, "decode_ahead", refuse)
    run_stage("decode_frames", "plain", shard, shard / "plain.zarr")
    with pytest.raises(AssertionError, match="not the plain way"):
        run_stage("decode_frames", "committed", shard, shard / "committed.zarr")


def test_a_process_that_fails_ends_the_benchmark(tmp_path):
    with pytest.raises(SystemExit, match=r"Traceback[\s\S]*exit code 1"):
        run_again(["--folder", tmp_path, "--run", "decode_frames", "plain", tmp_path / "out.zarr"])


@pytest.mark.parametrize(("slowest", "verdict"), [(1.0, "take at most"), (1.3, "EXCEED")])
def test_the_report(tmp_path, capsys, monkeypatch, slowest, verdict):
    """What is measured is given: 2 s the plain way, and half a second of CPU time less."""
    ways = []

    def measure(stage, way, folder):
        ways.append(way)
        factor = slowest if (stage, way) == ("extract_i3d", "committed") else 1
        (folder / f"{stage}.{way}.zarr").mkdir(exist_ok=True)
        root = {"attributes": {"digest": stage}}
        (folder / f"{stage}.{way}.zarr" / "zarr.json").write_text(json.dumps(root))
        return {"wall": 2.0 * factor, "cpu": 1.5}

    def run_again(arguments):
        (arguments[1] / "videos.json").write_text(json.dumps({"videos": [{}] * 7}))
        return ""

    monkeypatch.setattr(commit_overhead, "measure", measure)
    monkeypatch.setattr(commit_overhead, "run_again", run_again)
    assert commit_overhead.main(["--folder", str(tmp_path), "--repeats", "3"]) == (0 if slowest == 1 else 1)
    assert ways == ["committed", "plain", "plain", "committed", "committed", "plain"] * 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "7 videos, medians of 3 runs each way, in turn"
    rows = {line.split()[0]: [float(cell) for cell in line.split()[1:]] for line in lines[3:6]}
    assert rows["decode_frames"] == rows["build_grid_nodes"] == [2.0, 2.0, 1.0, 1.5, 1.5, 1.0]
    assert rows["extract_i3d"] == [2.0 * slowest, 2.0, slowest, 1.5, 1.5, 1.0]
    assert verdict in lines[6]
    assert list(tmp_path.iterdir()) == []


def test_different_data_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(commit_overhead, "run_again", lambda _: "")
    monkeypatch.setattr(commit_overhead, "measure", lambda *_: {"wall": 1.0, "cpu": 1.0})
    monkeypatch.setattr(commit_overhead, "digest_of", lambda _folder, _stage, way: way)
    (tmp_path / "videos.json").write_text('{"videos": []}')
    with pytest.raises(SystemExit, match="do not write the same"):
        commit_overhead.report(tmp_path, 3, 1)
