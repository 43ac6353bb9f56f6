"""Weights from files, by URL and by chance, and what is said when they do not fit."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from toys.masked_clips import masked_settings

from pipeline.__main__ import main
from pipeline.artifact import write_json
from pipeline.config import Clip4ClipSettings, ClipArch, DetectorSettings, I3dSettings, TextArch, VisionArch, WeightsUrl
from pipeline.errors import PipelineError
from pipeline.models.clip4clip import load_clip4clip
from pipeline.models.detector import build_detector, load_detector
from pipeline.models.i3d import InceptionI3d, load_i3d, randomise
from pipeline.recognition.towers.temporal_weights import read_temporal
from pipeline.stages.import_weights import run, shuffle
from pipeline.weights.fetching import cached_path

RANDOM = I3dSettings(
    kind="i3d", weights="random", seed=1, calibrate_on="clips", calibration_clips=2, size=32, precision="fp32"
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, make_video):
    """Two video tables and captions: training clips 0, 1, 2 (bad) and 3, test clip 4."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("dataset")
    for number in (0, 1, 3, 4):
        make_video(folder / f"{number}.mp4", 20 + number, size_hw=(40, 40 + 8 * number))
    (folder / "2.mp4").write_text("no video")
    for shard, numbers in enumerate(([0, 1], [2, 3, 4])):
        videos = [{"id": f"clip{n}", "path": f"{n}.mp4", "size": 1} for n in numbers]
        write_json(folder / f"{shard}.json", {"root": str(folder), "videos": videos})
    splits = {"train": ["clip0", "clip1", "clip2", "clip3"], "val": [], "test": ["clip4"]}
    write_json(folder / "captions.json", {"captions": {}, "splits": splits})
    return {"videos": [folder / "0.json", folder / "1.json"], "captions": [folder / "captions.json"]}


def metadata(path):
    with safe_open(path, framework="pt") as file:
        return file.metadata()


def test_a_file_becomes_safetensors(tmp_path, capsys):
    model = InceptionI3d()
    randomise(model, seed=5)
    torch.save(model.state_dict(), tmp_path / "rgb_imagenet.pt")
    settings = RANDOM.model_copy(update={"weights": str(tmp_path / "rgb_imagenet.pt"), "calibrate_on": None})
    out = tmp_path / "encoders" / "i3d" / "weights.safetensors"
    run(out, settings, videos=[], captions=[])
    said = metadata(out)
    assert (said["kind"], json.loads(said["arch"])) == ("i3d", {"num_classes": 400})
    assert said["origin"].startswith("file rgb_imagenet.pt sha256 ")
    assert len(said["origin"].split()[-1]) == 64
    saved, state = load_file(out), model.state_dict()
    assert saved.keys() == state.keys()
    assert all(torch.equal(saved[key], state[key]) for key in state)
    told = capsys.readouterr().err
    assert "rgb_imagenet.pt: Inception I3D\n  Conv3d_1a_7x7 " in told
    assert f"import_weights: weights of i3d: {said['origin']}" in told


def test_a_url_gives_the_same_bytes_as_its_file(tmp_path, monkeypatch):
    """The file is in the cache already; the settings name it with its digest."""
    monkeypatch.chdir(tmp_path)
    model = InceptionI3d()
    randomise(model, seed=5)
    torch.save(model.state_dict(), "rgb_imagenet.pt")
    content = (tmp_path / "rgb_imagenet.pt").read_bytes()
    source = WeightsUrl(url="http://127.0.0.1:1/rgb_imagenet.pt", sha256=hashlib.sha256(content).hexdigest())
    cached_path(source).parent.mkdir(parents=True)
    cached_path(source).write_bytes(content)
    for name, weights in (("file", "rgb_imagenet.pt"), ("url", source)):
        settings = RANDOM.model_copy(update={"weights": weights, "calibrate_on": None})
        run(tmp_path / name, settings, videos=[], captions=[])
    assert metadata(tmp_path / "url")["origin"] == f"file rgb_imagenet.pt sha256 {source.sha256}"
    assert (tmp_path / "url").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_url_without_network_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    entry = RANDOM.model_dump(mode="json") | {"weights": {"url": "http://127.0.0.1:1/i3d.pt", "sha256": "0" * 64}}
    arguments = ["import_weights", "--out", "w", "--settings", json.dumps(entry), "--videos", "--captions"]
    assert main(arguments) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: import_weights: weights: http://127.0.0.1:1/i3d.pt cannot be fetched (")
    assert f"put the file at weights/{'0' * 16}/i3d.pt, or name a file of this machine" in last
    assert not (tmp_path / "w").exists()


@pytest.mark.slow
def test_random_weights_are_calibrated_on_training_clips(dataset, tmp_path, caplog):
    run(tmp_path / "two.safetensors", RANDOM, **dataset)
    assert "UNTRAINED (seed 1)" in caplog.text
    assert metadata(tmp_path / "two.safetensors")["origin"] == "random"
    model = load_i3d(tmp_path / "two.safetensors")
    fresh = InceptionI3d()
    randomise(fresh, seed=1)
    assert torch.equal(model.Mixed_5c.b0.conv3d.weight, fresh.Mixed_5c.b0.conv3d.weight)
    assert not torch.equal(model.Mixed_5c.b0.bn.running_var, fresh.Mixed_5c.b0.bn.running_var)

    # the order of tables, and of videos in the splits, changes nothing: not a byte
    run(tmp_path / "again.safetensors", RANDOM, videos=dataset["videos"][::-1], captions=dataset["captions"])
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    run(tmp_path / "other.safetensors", RANDOM.model_copy(update={"seed": 2}), **dataset)
    assert (tmp_path / "other.safetensors").read_bytes() != (tmp_path / "two.safetensors").read_bytes()


def test_only_training_clips_that_decode_are_used(dataset, tmp_path, caplog):
    """All three good training clips are asked for and more: the bad one is named, the test clip is not touched."""
    many = RANDOM.model_copy(update={"calibration_clips": 10})
    run(tmp_path / "many.safetensors", many, **dataset)
    assert "not calibrated on clip2: not a video file" in caplog.text
    only = json.loads(dataset["captions"][0].read_text())
    del only["splits"]["test"]
    only["splits"]["train"].remove("clip2")
    write_json(tmp_path / "captions.json", only)
    run(tmp_path / "only.safetensors", many, videos=dataset["videos"], captions=[tmp_path / "captions.json"])
    assert (tmp_path / "many.safetensors").read_bytes() == (tmp_path / "only.safetensors").read_bytes()


def test_no_clip_to_calibrate_on_is_said(dataset, tmp_path):
    write_json(tmp_path / "captions.json", {"captions": {}, "splits": {"train": ["clip2"], "val": [], "test": []}})
    with pytest.raises(PipelineError, match="none of the 1 training videos of `calibrate_on: clips` can be decoded"):
        run(tmp_path / "w.safetensors", RANDOM, videos=dataset["videos"], captions=[tmp_path / "captions.json"])
    with pytest.raises(PipelineError, match=r"needs the video tables and captions.json"):
        run(tmp_path / "w.safetensors", RANDOM, videos=[], captions=[])
    assert not (tmp_path / "w.safetensors").exists()


def test_shuffle_depends_on_ids_and_seed_alone():
    ids = [f"clip{number}" for number in range(20)]
    order = shuffle(ids, seed=1)
    assert sorted(order) == sorted(ids)
    assert order == shuffle(ids[::-1], seed=1) != shuffle(ids, seed=2)
    assert [name for name in order if name != "clip7"] == shuffle([name for name in ids if name != "clip7"], seed=1)


def test_clip4clip_is_imported_too(tmp_path):
    arch = ClipArch(
        embed_dim=16,
        vision=VisionArch(image_size=16, patch_size=8, width=16, heads=2, layers=1),
        text=TextArch(context_length=77, vocab_size=49408, width=16, heads=2, layers=1),
    )
    settings = Clip4ClipSettings(kind="clip4clip", weights="random", seed=1, arch=arch, finetune=None, precision="fp32")
    run(tmp_path / "w.safetensors", settings, videos=[], captions=[])
    said = metadata(tmp_path / "w.safetensors")
    assert (said["kind"], said["origin"]) == ("clip4clip", "random")
    assert load_clip4clip(tmp_path / "w.safetensors", arch).encode_image(torch.zeros(1, 3, 16, 16)).shape == (1, 16)


def test_a_detector_is_imported_too(tmp_path, capsys, caplog):
    settings = DetectorSettings(
        kind="detector",
        weights="random",
        seed=1,
        arch="fasterrcnn_resnet18_fpn",
        size=64,
        finetune=None,
        precision="fp32",
    )
    run(tmp_path / "random.safetensors", settings, videos=[], captions=[])
    assert "UNTRAINED (seed 1)" in caplog.text
    assert metadata(tmp_path / "random.safetensors")["origin"] == "random"

    # five classes in a file as torchvision's are
    state = build_detector(settings.arch, 5, settings.size).state_dict()
    torch.save(state, tmp_path / "five.pth")
    named = settings.model_copy(update={"weights": str(tmp_path / "five.pth")})
    run(tmp_path / "five.safetensors", named, videos=[], captions=[])
    said = metadata(tmp_path / "five.safetensors")
    assert (said["kind"], said["arch"]) == ("detector", settings.arch)
    assert said["origin"].startswith("file five.pth sha256 ")
    model, categories = load_detector(tmp_path / "five.safetensors", settings.arch, settings.size)
    assert len(categories) == 5
    loaded = model.state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)
    told = capsys.readouterr().err
    assert "five.pth: fasterrcnn_resnet18_fpn of 5 classes with the background\n  backbone.body " in told
    assert f"weights of detector: {said['origin']}" in told


def test_a_wrong_file_is_one_line_and_exit_code_2(tmp_path, capsys):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pt")
    settings = RANDOM.model_copy(update={"weights": str(tmp_path / "other.pt")}).model_dump_json()
    out = tmp_path / "w.safetensors"
    arguments = ["import_weights", "--out", str(out), "--settings", settings, "--videos", "--captions"]
    assert main(arguments) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert "other.pt holds another architecture" in said
    assert "unknown: conv.weight" in said
    assert not out.exists()


def test_videomae_s_weights_are_imported_or_drawn(tmp_path, caplog):
    """One of a checkpoint's biases is altered, because a file without any is refused."""
    settings = masked_settings(weights="random").model_copy(update={"pretrain": None})
    run(tmp_path / "drawn.safetensors", settings, videos=[], captions=[])
    assert "the VideoMAE encoder starts UNTRAINED (seed 1)" in caplog.text
    assert metadata(tmp_path / "drawn.safetensors")["origin"] == "random"
    state = load_file(tmp_path / "drawn.safetensors")
    below = {f"encoder.{name}": torch.ones_like(t) if name.endswith("_bias") else t for name, t in state.items()}
    torch.save({"model": below | {"mask_token": torch.zeros(1, 1, 4)}}, tmp_path / "checkpoint.pth")
    named = settings.model_copy(update={"weights": str(tmp_path / "checkpoint.pth")})
    run(tmp_path / "weights.safetensors", named, videos=[], captions=[])
    said = metadata(tmp_path / "weights.safetensors")
    assert (said["kind"], json.loads(said["arch"])) == ("videomae", settings.arch.model_dump())
    assert said["origin"].startswith("file checkpoint.pth sha256 ")
    tower = read_temporal(tmp_path / "weights.safetensors")
    assert all(torch.equal(tensor, below[f"encoder.{name}"]) for name, tensor in tower.state_dict().items())
