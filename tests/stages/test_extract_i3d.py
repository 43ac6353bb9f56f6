"""The stage on real videos: the right window for every sampled frame, once, in eval mode, whatever the batches."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from toys.motion_encoders import counting, interrupted_after

from pipeline.artifact import read, write_json
from pipeline.config import I3dSettings, SamplingSettings
from pipeline.errors import PipelineError
from pipeline.models.i3d import InceptionI3d, calibrate, load_i3d, normalise, randomise
from pipeline.schemas import FRAMES, MOTION
from pipeline.stages import decode_frames, extract_i3d
from pipeline.video.windows import WindowRequest, read_windows
from pipeline.weights.saving import save_weights

SETTINGS = I3dSettings(
    kind="i3d", weights="random", seed=1, calibrate_on="clips", calibration_clips=4, size=32, precision="fp32"
)
SAMPLING = SamplingSettings(fps=5.0, max_frames=20, short_side=448, window=16, time_limit=60.0, on_bad_video="record")
LENGTHS = {"a one": 1, "b-five": 5, "c16": 16, "d17": 17, "e40": 40, "f29": 29}


def calibration_windows(path):
    """Real windows and noise: were they all alike, BatchNorm would blow rounding errors up."""
    generator = np.random.default_rng(0)
    real = read_windows(WindowRequest(path, None, (0, 16, 24), 16, 32))
    noise = [generator.integers(0, 20 * (n + 1), (16, 32, 32, 3), dtype=np.uint8) for n in range(12)]
    return np.concatenate([real, noise])


@pytest.fixture(scope="module")
def shard(tmp_path_factory, make_video):
    """A shard of videos with their table, sampled frames and weights."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("shard")
    (folder / "files").mkdir()
    for name, num_frames in LENGTHS.items():
        make_video(folder / "files" / f"{name}.mp4", num_frames, size_hw=(48, 80), rate=10)
    (folder / "files" / "text.mp4").write_text("no video")
    videos = [
        {"id": path.stem, "path": path.name, "size": path.stat().st_size}
        for path in sorted((folder / "files").iterdir())
    ]
    write_json(folder / "videos.json", {"root": str(folder / "files"), "videos": videos})
    decode_frames.run(folder / "videos.json", folder / "frames.zarr", SAMPLING, threads=1)
    model = InceptionI3d()
    randomise(model, seed=1)
    calibrate(model, normalise(torch.from_numpy(calibration_windows(folder / "files" / "e40.mp4"))), batch_size=15)
    save_weights(model.state_dict(), folder / "weights.safetensors", {})
    return folder


def extract(shard, out, **changes):
    flags = {
        "videos": shard / "videos.json",
        "frames": shard / "frames.zarr" / "zarr.json",
        "weights": shard / "weights.safetensors",
        "settings": SETTINGS,
        "window": 16,
        "time_limit": 60.0,
        "threads": 1,
        "decoders": 1,
    }
    extract_i3d.run(out=out, **(flags | changes))
    return read(out, MOTION)


@pytest.fixture(scope="module")
def motion(shard, tmp_path_factory):
    return extract(shard, tmp_path_factory.mktemp("motion") / "m.zarr")


def test_rows_are_those_of_the_sampled_frames(shard, motion):
    """Trap T18: nodes and motion are of the same frames, because the numbers are read, not worked out again."""
    frames = read(shard / "frames.zarr", FRAMES)
    assert motion.ids == frames.ids == sorted(LENGTHS)
    assert np.array_equal(motion.ptr("frame"), frames.ptr("frame"))
    assert frames.video("e40", ["number"])["number"].tolist() == list(range(0, 40, 2))
    assert motion.video("e40")["window_start"].tolist() == [0] * 8 + [16] * 8 + [24] * 4
    assert frames.video("d17", ["number"])["number"].tolist() == list(range(0, 17, 2))
    assert motion.video("d17")["window_start"].tolist() == [0] * 8 + [1]
    assert motion.video("f29")["window_start"].tolist() == [0] * 8 + [13] * 7
    for name in ("a one", "b-five", "c16"):
        assert set(motion.video(name)["window_start"].tolist()) == {0}


def test_bad_videos_are_carried_over(shard, motion):
    assert motion.failed == read(shard / "frames.zarr", FRAMES).failed
    assert motion.failed["text"].startswith("not a video file")


def test_the_digest_of_the_weights_is_kept(shard, motion):
    kept = json.loads((motion.store / "provenance" / "zarr.json").read_text())["attributes"]["inputs"]["weights"]
    assert kept["digest"] == f"sha256:{hashlib.sha256((shard / 'weights.safetensors').read_bytes()).hexdigest()[:32]}"


@torch.no_grad()
def test_vectors_are_those_of_the_windows(shard, motion):
    model = load_i3d(shard / "weights.safetensors")
    for name in LENGTHS:
        rows = motion.video(name)
        starts = tuple(dict.fromkeys(rows["window_start"].tolist()))
        windows = read_windows(WindowRequest(shard / "files" / f"{name}.mp4", None, starts, 16, 32))
        features = model.extract_features(normalise(torch.from_numpy(windows))).flatten(1).numpy()
        expected = features[[starts.index(start) for start in rows["window_start"].tolist()]]
        assert rows["motion"].shape == (len(expected), 1024)
        assert np.allclose(rows["motion"], expected, rtol=1e-3, atol=1e-3)  # float16 keeps 11 bits
        assert expected.std() > 0.05


def test_shared_windows_are_computed_once_in_full_batches(shard, tmp_path, monkeypatch):
    batches = []
    monkeypatch.setattr(extract_i3d, "make_encoder", counting(batches))
    monkeypatch.setattr(extract_i3d, "BATCH_SIZE", 4)
    extract(shard, tmp_path / "m.zarr")
    # one window each for 1, 5 and 16 frames, two for 17 and 29, three for 40: ten, and two to fill the last batch
    assert [len(batch) for batch in batches] == [4, 4, 4]
    assert np.array_equal(batches[2][1], batches[2][3])
    starts = {"a one": (0,), "b-five": (0,), "c16": (0,), "d17": (0, 1), "e40": (0, 16, 24), "f29": (0, 13)}
    requests = [WindowRequest(shard / "files" / f"{name}.mp4", None, starts[name], 16, 32) for name in sorted(LENGTHS)]
    expected = np.concatenate([read_windows(request) for request in requests])
    assert np.array_equal(np.concatenate(batches)[:10], expected)


@pytest.mark.slow
def test_runs_are_identical_and_batches_do_not_matter(shard, motion, tmp_path, monkeypatch):
    assert extract(shard, tmp_path / "again.zarr", decoders=2).digest == motion.digest
    monkeypatch.setattr(extract_i3d, "BATCH_SIZE", 1)
    alone = extract(shard, tmp_path / "alone.zarr").array("motion").astype(np.float32)
    assert np.allclose(alone, motion.array("motion").astype(np.float32), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_an_interrupted_run_continues_to_the_same_artifact(shard, tmp_path, monkeypatch):
    monkeypatch.setattr(extract_i3d, "BATCH_SIZE", 2)
    whole = extract(shard, tmp_path / "whole.zarr")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(extract_i3d, "make_encoder", interrupted_after(2))
        extract(shard, tmp_path / "m.zarr")
    journal = (tmp_path / ".m.zarr.partial" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in journal] == ["a one", "b-five", "c16"]
    assert extract(shard, tmp_path / "m.zarr").digest == whole.digest


def test_a_video_lost_since_it_was_sampled_is_recorded(shard, motion, tmp_path, make_video):
    copy = tmp_path / "copy"
    shutil.copytree(shard, copy)
    table = json.loads((copy / "videos.json").read_text())
    write_json(copy / "videos.json", table | {"root": str(copy / "files")})
    (copy / "files" / "c16.mp4").unlink()
    make_video(copy / "files" / "e40.mp4", 12)
    found = extract(copy, tmp_path / "m.zarr")
    assert found.failed == motion.failed | {
        "c16": "there is no such file",
        "e40": "it has 12 frames, but had 40 when its frames were sampled",
    }
    assert np.array_equal(found.video("f29")["motion"], motion.video("f29")["motion"])
    assert found.ids == ["a one", "b-five", "d17", "f29"]


def test_frames_of_another_shard_are_refused(shard, tmp_path):
    write_json(tmp_path / "videos.json", {"root": ".", "videos": [{"id": "other", "path": "other.mp4", "size": 1}]})
    with pytest.raises(PipelineError, match="run decode_frames again"):
        extract(shard, tmp_path / "m.zarr", videos=tmp_path / "videos.json")
