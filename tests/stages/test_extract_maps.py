"""The stage on real videos: the windows of `extract_i3d`, before they are pooled, of one size for every clip."""

import json
import signal

import numpy as np
import pytest
import torch
from toys.killed_stages import files_in, kill_in_video
from toys.map_encoders import I3D, MAPS_OF, write_map_encoders
from toys.sampled_shard import LENGTHS, write_sampled_shard

from pipeline.artifact import read, write_json
from pipeline.config import RecognizerEncoderSettings
from pipeline.errors import PipelineError
from pipeline.models import map_encoding
from pipeline.models.i3d import load_i3d, normalise
from pipeline.recognition.cast_file import read_cast
from pipeline.recognition.model_file import read_recognizer
from pipeline.schemas import FRAMES, MAPS
from pipeline.stages import extract_maps
from pipeline.video.windows import WindowRequest, read_windows

RECOGNIZER = RecognizerEncoderSettings(kind="recognizer", experiment="actions")


@pytest.fixture(scope="module")
def shard(tmp_path_factory, make_video):
    """A shard of videos with their table and sampled frames, an I3D, a recognizer, and a CAST with its experts."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("shard")
    write_sampled_shard(folder, make_video)
    write_map_encoders(folder)
    return folder


def flags_of(shard, weights="i3d"):
    return {
        "videos": shard / "videos.json",
        "frames": shard / "frames.zarr/zarr.json",
        "weights": shard / f"{weights}.safetensors",
        "experts": [],
        "settings": MAPS_OF,
        "encoder": I3D,
        "window": 16,
        "time_limit": 60.0,
        "threads": 1,
        "decoders": 1,
    }


def extract(shard, out, weights="i3d", **changes):
    extract_maps.run(out=out, **(flags_of(shard, weights) | changes))
    return read(out, MAPS)


def test_maps_of_a_clip_by_hand(shard, tmp_path):
    """Windows from 0, 16 and 24 of 40 frames: two steps of 2 x 2 cells each, of which four steps are made."""
    maps = extract(shard, tmp_path / "m.zarr")
    assert maps.failed.keys() == {"text"}
    windows = read_windows(WindowRequest(shard / "files/e40.mp4", 40, (0, 16, 24), 16, 48))
    with torch.inference_mode():
        x_WCTHW = load_i3d(shard / "i3d.safetensors").maps(normalise(torch.from_numpy(windows)))
    assert x_WCTHW.shape == (3, 1024, 2, 2, 2)
    x_1CTHW = x_WCTHW.transpose(0, 1).reshape(1, 1024, 6, 2, 2)
    expected = torch.nn.functional.interpolate(x_1CTHW, (4, 2, 2), mode="trilinear", align_corners=False)
    found = maps.video("e40", ["map", "time", "seen"])
    assert found["map"].shape == (4, 2, 2, 1024)
    assert found["map"].dtype == np.float16
    assert found["map"].astype(np.float32) == pytest.approx(expected[0].movedim(0, -1).numpy(), rel=2e-3, abs=2e-3)
    assert np.isfinite(found["time"]).all()
    assert (np.diff(found["time"]) > 0).all()
    assert found["time"][0] == pytest.approx(0.55)  # a quarter of the way from frame 3.5 to 11.5, at 10 a second
    # Of the stored 40 x 66 pixels the square of 35 in the middle.
    assert found["seen"][0] == pytest.approx([0.5 - 35 / 132, 1 / 16, 0.5 + 35 / 132, 15 / 16])


def test_every_clip_has_maps_of_one_size(shard, tmp_path):
    maps = extract(shard, tmp_path / "m.zarr")
    for name in LENGTHS:
        assert maps.video(name, ["map"])["map"].shape == (4, 2, 2, 1024)
        assert maps.video(name, ["time"])["time"].max() <= LENGTHS[name] / 10


def test_maps_of_a_trained_recognizer(shard, tmp_path):
    """The recognizer sees the middles of equal parts of a window, and the central square."""
    settings = MAPS_OF.model_copy(update={"align_size": (3, 2, 2)})
    found = extract(shard, tmp_path / "m.zarr", "tsm", encoder=RECOGNIZER, settings=settings).video(
        "c16", ["map", "seen"]
    )
    trained = read_recognizer(shard / "tsm.safetensors")
    windows = read_windows(WindowRequest(shard / "files/c16.mp4", 16, (0,), 16, (40, 66)))
    number = trained.settings.frames.number
    chosen = [int((i + 0.5) * 16 / number) for i in range(number)]
    with torch.inference_mode():
        x_BTCHW = trained.model.maps(torch.from_numpy(windows[:, chosen, 4:36, 17:49].copy()).movedim(-1, 2))
        pooled = trained.model.features(torch.from_numpy(windows[:, chosen, 4:36, 17:49].copy()).movedim(-1, 2))
    torch.testing.assert_close(x_BTCHW.mean((3, 4)), pooled)
    expected = torch.nn.functional.interpolate(x_BTCHW.transpose(1, 2), (3, 2, 2), mode="trilinear")[0].movedim(0, -1)
    assert found["map"].astype(np.float32) == pytest.approx(expected.numpy(), rel=5e-3, abs=5e-3)
    assert found["seen"][0] == pytest.approx([17 / 66, 0.1, 49 / 66, 0.9])


def test_maps_of_a_cast_are_those_of_both_streams(shard, tmp_path):
    experts = [shard / "spatial.safetensors", shard / "temporal.safetensors"]
    trained = read_cast(shard / "cast.safetensors", experts)
    windows = read_windows(WindowRequest(shard / "files/c16.mp4", 16, (0,), 16, (40, 66)))
    with torch.inference_mode():
        spatial, temporal = trained.model.maps(torch.from_numpy(windows[:, 1::2, 4:36, 17:49].copy()).movedim(-1, 2))
    expected = torch.cat([spatial, temporal], -1)[0].numpy()
    settings = MAPS_OF.model_copy(update={"align_size": expected.shape[:3]})
    maps = extract(shard, tmp_path / "m.zarr", "cast", encoder=RECOGNIZER, experts=experts, settings=settings)
    assert maps.video("c16", ["map"])["map"].astype(np.float32) == pytest.approx(expected, rel=5e-3, abs=5e-3)


def test_a_killed_job_goes_on_clip_by_clip(shard, tmp_path, monkeypatch):
    whole = extract(shard, tmp_path / "whole.zarr")
    made, begun = extract_maps.rows_of, []

    def stop(*given):
        if len(begun) == 2:
            raise KeyboardInterrupt
        begun.append(given)
        return made(*given)

    monkeypatch.setattr(extract_maps, "rows_of", stop)
    with pytest.raises(KeyboardInterrupt):
        extract(shard, tmp_path / "m.zarr")
    assert not (tmp_path / "m.zarr").exists()
    monkeypatch.setattr(extract_maps, "rows_of", lambda *given: begun.append(given) or made(*given))
    assert extract(shard, tmp_path / "m.zarr").digest == whole.digest
    assert len(begun) == 3  # two before, one after


@pytest.mark.slow
def test_after_sigkill_it_goes_on_to_the_same_bytes(shard, tmp_path, monkeypatch):
    extract(shard, tmp_path / "whole.zarr")
    assert kill_in_video("extract_maps", flags_of(shard) | {"out": tmp_path / "m.zarr"}, 3) == -signal.SIGKILL
    assert not (tmp_path / "m.zarr").exists()
    made, begun = extract_maps.rows_of, []
    monkeypatch.setattr(extract_maps, "rows_of", lambda *given: begun.append(given) or made(*given))
    extract(shard, tmp_path / "m.zarr")
    assert len(begun) == 1
    assert files_in(tmp_path / "m.zarr") == files_in(tmp_path / "whole.zarr")


def test_numbers_beyond_half_precision_cost_one_clip(shard, tmp_path, monkeypatch):
    encoding = map_encoding.i3d_maps

    def too_large(*given):
        made = encoding(*given)
        return made._replace(encode=lambda windows: made.encode(windows) * 1e9)

    monkeypatch.setattr(extract_maps, "i3d_maps", too_large)
    maps = extract(shard, tmp_path / "m.zarr")
    assert maps.failed["c16"] == "the encoder gave numbers that are not finite or beyond half precision"


def test_what_is_refused(shard, tmp_path):
    large = MAPS_OF.model_copy(update={"align_size": (40, 7, 7)})
    with pytest.raises(PipelineError, match=r"40 x 7 x 7 x 1024 numbers of a clip.* may take 3.83 MiB"):
        extract(shard, tmp_path / "m.zarr", settings=large)
    with pytest.raises(PipelineError, match=r"i3d\.safetensors holds no"):
        extract(shard, tmp_path / "m.zarr", encoder=RECOGNIZER)
    with pytest.raises(PipelineError, match=r"cast recognizer needs the files of its two experts"):
        extract(shard, tmp_path / "m.zarr", "cast", encoder=RECOGNIZER)
    write_json(tmp_path / "videos.json", {"root": str(shard / "files"), "videos": []})
    with pytest.raises(PipelineError, match=r"is not of the videos in .*: run decode_frames again"):
        extract(shard, tmp_path / "m.zarr", videos=tmp_path / "videos.json")


def test_a_clip_takes_less_than_a_megabyte(shard, tmp_path):
    """The largest that is allowed: 10 x 7 x 7 of I3D's 1,024 channels, whole."""
    settings = MAPS_OF.model_copy(update={"align_size": (10, 7, 7)})
    extract(shard, tmp_path / "m.zarr", settings=settings)
    stored = sum(path.stat().st_size for path in (tmp_path / "m.zarr").rglob("*") if path.is_file())
    assert stored / len(LENGTHS) < 2**20
    assert json.loads((tmp_path / "m.zarr/zarr.json").read_text())["attributes"]["schema"] == "maps"
    assert set(read(shard / "frames.zarr", FRAMES).ids) == LENGTHS.keys()
