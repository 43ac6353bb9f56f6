import json

import pytest
from toys.hanging_reader import read_or_hang

from pipeline.artifact import each_video, read, write_json
from pipeline.config import SamplingSettings
from pipeline.errors import PipelineError
from pipeline.schemas import FRAMES
from pipeline.stages.decode_frames import run

SETTINGS = SamplingSettings(fps=2.0, max_frames=20, short_side=448, window=16, time_limit=60.0, on_bad_video="record")


def write_table(folder, out):
    videos = [{"id": p.name, "path": p.name, "size": p.stat().st_size} for p in sorted(folder.iterdir()) if p.is_file()]
    write_json(out, {"root": str(folder), "videos": videos})
    return videos


@pytest.mark.parametrize("threads", [1, 3])
def test_bad_videos_are_recorded_and_the_others_kept(tmp_path, make_video, bad_videos, threads, capsys):
    make_video(tmp_path / "a one.mp4", 1)
    make_video(tmp_path / "z five.webm", 5, codec="libvpx-vp9")
    make_video(tmp_path / "\u00fc-gone.mp4", 5)
    make_video(tmp_path / "changed.mp4", 5)
    write_table(tmp_path, tmp_path / "out" / "videos.json")
    (tmp_path / "\u00fc-gone.mp4").unlink()
    make_video(tmp_path / "changed.mp4", 50)
    run(tmp_path / "out" / "videos.json", tmp_path / "out" / "frames.zarr", SETTINGS, threads=threads)
    frames = read(tmp_path / "out" / "frames.zarr", FRAMES)
    assert frames.ids == ["a one.mp4", "z five.webm"]
    assert frames.array("num_frames").tolist() == [1, 5]
    reasons = {**bad_videos, "\u00fc-gone.mp4": "no such file", "changed.mp4": "when it was indexed"}
    assert frames.failed.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in frames.failed[name]
    assert "left out: empty.mp4: the file is empty" in capsys.readouterr().err


def test_a_bad_video_stops_the_run_where_that_is_asked_for(tmp_path, bad_videos):
    write_table(tmp_path, tmp_path / "out" / "videos.json")
    settings = SETTINGS.model_copy(update={"on_bad_video": "fail"})
    with pytest.raises(
        PipelineError, match=r"empty\.mp4 \(video empty\.mp4\): the file is empty.*on_bad_video: record"
    ):
        run(tmp_path / "out" / "videos.json", tmp_path / "out" / "frames.zarr", settings, threads=1)
    assert not (tmp_path / "out" / "frames.zarr").exists()


def test_frames_do_not_depend_on_threads(tmp_path, make_video):
    for number in range(4):
        make_video(tmp_path / f"{number}.mp4", 10 + number)
    write_table(tmp_path, tmp_path / "out" / "videos.json")
    roots = []
    for threads in (1, 2):
        store = tmp_path / "out" / f"{threads}.zarr"
        run(tmp_path / "out" / "videos.json", store, SETTINGS, threads=threads)
        roots.append((store / "zarr.json").read_bytes())
    assert roots[0] == roots[1]


def test_a_shard_without_videos(tmp_path):
    write_json(tmp_path / "videos.json", {"root": str(tmp_path), "videos": []})
    run(tmp_path / "videos.json", tmp_path / "frames.zarr", SETTINGS, threads=1)
    assert read(tmp_path / "frames.zarr", FRAMES).ids == []


def test_a_shard_where_every_video_is_bad(tmp_path, bad_videos):
    write_table(tmp_path, tmp_path / "out" / "videos.json")
    run(tmp_path / "out" / "videos.json", tmp_path / "out" / "frames.zarr", SETTINGS, threads=1)
    frames = read(tmp_path / "out" / "frames.zarr", FRAMES)
    assert (frames.ids, len(frames.failed)) == ([], 4)


def test_suspect_videos_are_kept_and_told_of_also_after_an_interruption(tmp_path, make_video, monkeypatch, capsys):
    for number in range(3):
        make_video(tmp_path / f"{number}.mp4", 60, options={"movflags": "faststart"})
    content = (tmp_path / "0.mp4").read_bytes()
    (tmp_path / "0.mp4").write_bytes(content[: (len(content) + content.index(b"mdat")) // 2])
    write_table(tmp_path, tmp_path / "out" / "videos.json")
    run(tmp_path / "out" / "videos.json", tmp_path / "out" / "whole.zarr", SETTINGS, threads=1)
    assert "suspect: 0.mp4: its header counts 60 frames" in capsys.readouterr().err

    def stopping(items, total, label, before):
        for number, item in enumerate(items):
            if number == 2:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patched:
        patched.setattr(each_video, "track", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "out" / "videos.json", tmp_path / "out" / "killed.zarr", SETTINGS, threads=1)
    run(tmp_path / "out" / "videos.json", tmp_path / "out" / "killed.zarr", SETTINGS, threads=1)
    stores = [tmp_path / "out" / name / "zarr.json" for name in ("whole.zarr", "killed.zarr")]
    assert stores[0].read_bytes() == stores[1].read_bytes()
    frames = read(stores[1], FRAMES)
    assert (frames.ids, frames.failed, list(frames.suspect)) == (["0.mp4", "1.mp4", "2.mp4"], {}, ["0.mp4"])


def test_a_decoder_that_hangs_costs_one_video(tmp_path, make_video, monkeypatch):
    monkeypatch.setattr("pipeline.stages.decode_frames.read_sampled_frames", read_or_hang)
    for name in "abc":
        make_video(tmp_path / f"{name}.mp4", 5)
    write_table(tmp_path, tmp_path / "out" / "videos.json")
    settings = SETTINGS.model_copy(update={"time_limit": 6.0})  # others take as long where the machine is busy
    run(tmp_path / "out" / "videos.json", tmp_path / "out" / "frames.zarr", settings, threads=1)
    frames = read(tmp_path / "out" / "frames.zarr", FRAMES)
    assert frames.failed == {"b.mp4": "decoding took longer than 6 s (time_limit)"}
    assert frames.ids == ["a.mp4", "c.mp4"]


def test_what_reads_the_frames_is_told_by_its_versions(tmp_path, make_video):
    make_video(tmp_path / "a.mp4", 5)
    write_table(tmp_path, tmp_path / "out" / "videos.json")
    run(tmp_path / "out" / "videos.json", tmp_path / "out" / "frames.zarr", SETTINGS, threads=1)
    made = json.loads((tmp_path / "out" / "frames.zarr/provenance/zarr.json").read_text())
    assert {"av", "decord2"} <= made["attributes"]["versions"].keys()
