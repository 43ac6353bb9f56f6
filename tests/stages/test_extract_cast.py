"""CAST's vectors as motion of windows: the windows of I3D, the frames and squares that the recognizer knows."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from toys.experts import cast_settings, write_experts
from toys.sampled_shard import LENGTHS, SAMPLING, write_sampled_shard

from pipeline.artifact import read, write_json
from pipeline.commands.graph_shard_run import GraphShardRun
from pipeline.config import I3dSettings
from pipeline.config.overlays import read_config
from pipeline.errors import PipelineError
from pipeline.models.i3d import InceptionI3d, randomise
from pipeline.models.motion_encoding import BATCH_SIZE
from pipeline.recognition.cast_file import describe_cast, read_cast
from pipeline.recognition.cast_motion import CastWindows, named_experts
from pipeline.recognition.cast_recognizer import build_over, read_experts
from pipeline.schemas import FRAMES, MOTION
from pipeline.stages import extract_cast, extract_i3d
from pipeline.video.windows import WindowFrames, WindowRequest, read_windows
from pipeline.weights.saving import save_weights
from pipeline.workflow.captioning_chain import CaptioningChain
from pipeline.workflow.experiment_chain import chain_of
from pipeline.workflow.paths import ARTIFACTS

ROOT = Path(__file__).parents[2]
VIEWS = {"temporal": 2, "spatial": 3, "short_side": 40, "size": 32, "batch_size": 3}


@pytest.fixture(scope="module")
def shard(tmp_path_factory, make_video):
    """A shard of videos with their table and sampled frames, a trained recognizer and its experts."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("shard")
    write_sampled_shard(folder, make_video)
    write_model(folder, "model.safetensors", fusion="added")
    return folder


def write_model(folder, name, **changed):
    experts = read_experts(*write_experts(folder))
    settings = cast_settings(views=VIEWS, **changed)
    torch.manual_seed(5)
    model = build_over(experts, settings, {"class": 3})
    for parameter in model.part.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.2)
    save_weights(model.part.state_dict(), folder / name, describe_cast(settings, {"class": ["a", "b", "c"]}, experts))


def extract(shard, out, model="model.safetensors", experts=("spatial", "temporal")):
    flags = {"window": 16, "time_limit": 60.0, "threads": 1, "decoders": 1}
    extract_cast.run(
        videos=shard / "videos.json",
        frames=shard / "frames.zarr/zarr.json",
        model=shard / model,
        experts=[shard / f"{name}.safetensors" for name in experts],
        out=out,
        **flags,
    )
    return read(out, MOTION)


def test_motion_is_the_vectors_of_the_windows_of_i3d(shard, tmp_path):
    motion = extract(shard, tmp_path / "m.zarr")
    assert motion.failed.keys() == {"text"}
    model = InceptionI3d()
    randomise(model, seed=1)
    save_weights(model.state_dict(), tmp_path / "i3d.safetensors", {})
    settings = I3dSettings(
        kind="i3d", weights="random", seed=1, calibrate_on="x", calibration_clips=1, size=32, precision="fp32"
    )
    flags = {"window": 16, "time_limit": 60.0, "threads": 1, "decoders": 1, "out": tmp_path / "i.zarr"}
    inputs = {"videos": shard / "videos.json", "frames": shard / "frames.zarr/zarr.json"}
    extract_i3d.run(**inputs, **flags, weights=tmp_path / "i3d.safetensors", settings=settings)
    of_i3d = read(tmp_path / "i.zarr", MOTION)
    assert motion.shape("motion") == (of_i3d.shape("motion")[0], 2 * 48)
    for name in LENGTHS:
        own, other = (store.video(name, ["motion", "window_start"]) for store in (motion, of_i3d))
        assert np.array_equal(own["window_start"], other["window_start"])


def test_a_window_by_hand(shard, tmp_path):
    """Windows from 0 and 24 of 40 frames: of 16 the experts see 1, 3, 5, .., scaled to 40 x 66, a square of each."""
    motion = extract(shard, tmp_path / "m.zarr").video("e40", ["motion", "window_start"])
    trained = read_cast(shard / "model.safetensors", [shard / "spatial.safetensors", shard / "temporal.safetensors"])
    found = read_windows(WindowRequest(shard / "files/e40.mp4", 40, (0, 24), 16, (40, 66)))
    x_BTCHW = torch.from_numpy(found[:, 1::2, 4:36, 17:49].copy()).movedim(-1, 2)
    with torch.inference_mode():
        expected = torch.cat(trained.model.vectors(x_BTCHW), 1).numpy()
    for start, row in ((0, 0), (24, 1)):
        for vector in motion["motion"][motion["window_start"] == start]:
            assert vector.astype(np.float32) == pytest.approx(expected[row], rel=2e-3, abs=2e-3)
    assert (motion["window_start"] == 16).any()
    assert (np.abs(expected[0] - expected[1]) > 0.01).any()


def test_windows_of_another_length_are_spread_or_repeated():
    found = WindowFrames(np.zeros((20, 40, 66, 3), np.uint8), np.arange(20)[None], None)
    assert CastWindows(cast_settings(views=VIEWS), 20).cut(found).rows_WT.tolist() == [[1, 3, 6, 8, 11, 13, 16, 18]]
    few = WindowFrames(found.frames, np.arange(4)[None], "odd")
    assert CastWindows(cast_settings(views=VIEWS), 4).cut(few).rows_WT.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]]
    assert CastWindows(cast_settings(views=VIEWS), 4).cut(few).suspect == "odd"
    whole = cast_settings(views=VIEWS | {"short_side": None, "spatial": 1})
    assert CastWindows(whole, 16).size_of(48, 80) == (32, 32)
    assert CastWindows(cast_settings(views=VIEWS), 16).size_of(80, 48) == (66, 40)


def test_a_stream_that_nothing_needs_gives_no_features(shard, tmp_path):
    write_model(shard, "alone.safetensors", fusion="temporal", exchange="none")
    motion = extract(shard, tmp_path / "m.zarr", "alone.safetensors")
    assert motion.shape("motion")[1] == 48


def test_as_many_windows_are_computed_at_once_as_fit_whatever_views_the_model_was_trained_with(
    shard, tmp_path, monkeypatch
):
    """The rule tells a training nothing of the views that are scored, their `batch_size` among it: it writes 1."""
    experts = read_experts(*write_experts(tmp_path))
    settings = cast_settings(views=VIEWS | {"temporal": 1, "spatial": 1, "batch_size": 1})
    model = build_over(experts, settings, {"class": 3})
    description = describe_cast(settings, {"class": ["a", "b", "c"]}, experts)
    save_weights(model.part.state_dict(), shard / "one.safetensors", description)
    encode_across, sizes = extract_cast.encode_across, []

    def watched(cut, encode, batch_size):
        sizes.append(batch_size)
        return encode_across(cut, encode, batch_size)

    monkeypatch.setattr(extract_cast, "encode_across", watched)
    extract(shard, tmp_path / "m.zarr", "one.safetensors")
    assert sizes == [BATCH_SIZE]


def test_what_is_refused(shard, tmp_path):
    assert named_experts(shard / "model.safetensors") == ("clip", "mae")
    with pytest.raises(PipelineError, match=r"needs the files of its spatial and temporal expert, and 1 are given"):
        extract(shard, tmp_path / "m.zarr", experts=("spatial",))
    with pytest.raises(PipelineError, match=r"spatial.safetensors holds no"):
        named_experts(shard / "spatial.safetensors")
    write_json(tmp_path / "videos.json", {"root": str(shard / "files"), "videos": []})
    with pytest.raises(PipelineError, match=r"is not of the videos in .*: run decode_frames again"):
        extract_cast.run(
            videos=tmp_path / "videos.json",
            frames=shard / "frames.zarr/zarr.json",
            model=shard / "model.safetensors",
            experts=[shard / "spatial.safetensors", shard / "temporal.safetensors"],
            out=tmp_path / "m.zarr",
            window=16,
            time_limit=60.0,
            threads=1,
            decoders=1,
        )


def test_sizes_are_those_of_the_sampled_frames(shard):
    sampled = read(shard / "frames.zarr", FRAMES)
    assert extract_cast.sizes_of(sampled)["e40"] == (40, 66)


def test_the_caption_command_takes_motion_from_a_cast_and_its_experts(shard, tmp_path):
    """The same bytes as the stage by itself; a model over an expert that the settings lack is refused."""
    results = tmp_path / "results"
    for name, file in {"clip": "spatial", "mae": "temporal"}.items():
        (results / f"encoders/{name}").mkdir(parents=True)
        (results / f"encoders/{name}/weights.safetensors").symlink_to(shard / f"{file}.safetensors")
    (results / "experiments/acts").mkdir(parents=True)
    (results / "experiments/acts/model.safetensors").symlink_to(shard / "model.safetensors")
    config = read_config([ROOT / "config.yaml", ROOT / "configs/cast_captions.yaml"]).model_dump(mode="json")
    config["encoders"] |= {"mae": config["encoders"]["videomae_shapes"]}
    config["encoders"]["cast_motion"]["experiment"] = "acts"
    config["experiments"]["acts"] = config["experiments"]["shapes_cast"]
    config["recognizers"]["small_cast"] |= {"spatial": "clip", "temporal": "mae"}
    config["samplings"]["action"] = SAMPLING.model_dump(mode="json")
    chain = CaptioningChain.model_validate_json(json.dumps(chain_of(config, "grid_cast", ARTIFACTS)))
    run = GraphShardRun(chain, results, Path("captioner"), shard / "videos.json", tmp_path)
    found, expected = read(run.motion(), MOTION), extract(shard, tmp_path / "m.zarr")
    for name in LENGTHS:
        assert np.array_equal(*(store.video(name, ["motion"])["motion"] for store in (found, expected)))
    weights = {name: path for name, path in chain.weights.items() if name != "mae"}
    encoders = {name: of for name, of in chain.encoders.items() if name != "mae"}
    lacking = chain.model_copy(update={"weights": weights, "encoders": encoders})
    (tmp_path / "other").mkdir()
    with pytest.raises(PipelineError, match=r"trained over encoder mae, which the settings of grid_cast do not name"):
        GraphShardRun(lacking, results, Path("captioner"), shard / "videos.json", tmp_path / "other").motion()
