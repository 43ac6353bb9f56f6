"""The stages of recognition with a cast recognizer: what they do with it, and what they refuse."""

import csv
import json

import pytest
import torch
from safetensors import safe_open
from toys.experts import write_experts
from toys.labelled_clips import CLASSES
from toys.small_cast import CLIP_ARCH, MAE_ARCH, VIEWS, plain, settings, train, write_all

from pipeline.artifact import read, read_json
from pipeline.artifact.clip_store import ClipStore
from pipeline.config import ViewSettings
from pipeline.errors import PipelineError
from pipeline.jobs import training_run
from pipeline.recognition.cast_file import read_cast
from pipeline.recognition.scored_views import ViewReader
from pipeline.schemas import FEATURES, LOGITS
from pipeline.stages import extract_features, extract_regions, recognize_videos, score_recognizer
from pipeline.training import loop


def recognize(flags, model, out, **others):
    given = {"clips": flags["--clips"], "labels": flags["--labels"], "experts": flags["--experts"], "features": []}
    views = ViewSettings.model_validate_json(json.dumps(VIEWS))
    given |= {"groups": [], "part": None, "split": "test", "settings": views, "threads": 1}
    recognize_videos.run(**given | others, model=model, out=out)
    return read(out, LOGITS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cast")
    flags = write_all(folder, num_train=48, num_val=12, num_test=13)
    rows = train(folder, flags, plain({"epochs": 8}))
    return folder, flags, rows


def test_it_learns_over_frozen_experts(trained):
    """The experts are random; what they make of stripes is enough to tell the classes by."""
    folder, flags, rows = trained
    assert max(float(row["val_top1"]) for row in rows) > 0.6
    found = read_cast(folder / "model.safetensors", flags["--experts"])
    assert found.heads == {"class": CLASSES}
    assert found.settings == plain({"epochs": 8})


def test_its_file_holds_what_was_trained_alone(trained):
    folder, flags, _ = trained
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
    model = read_cast(folder / "model.safetensors", flags["--experts"]).model
    assert names == set(model.part.state_dict())
    assert {name.split(".")[0] for name in names} == {"blocks", "norms", "last", "heads"}


def test_neither_checkpoint_nor_optimizer_knows_the_experts(tmp_path, monkeypatch):
    flags, states = write_all(tmp_path, num_train=8, num_val=2), []
    monkeypatch.setattr(training_run, "SECONDS_BETWEEN", -1.0)
    kept = loop._Loop._state

    def watched(self):
        states.append(kept(self))
        return states[-1]

    monkeypatch.setattr(loop._Loop, "_state", watched)
    train(tmp_path, flags, settings())
    part = read_cast(tmp_path / "model.safetensors", flags["--experts"]).model.part
    for state in states:
        assert state["learned"].keys() == part.state_dict().keys()
        assert len(state["optimizer"]["state"]) == len(list(part.parameters()))
    assert states[-1]["best"].keys() == part.state_dict().keys()


def test_its_experts_stay_as_they_are(trained):
    folder, flags, _ = trained
    model = read_cast(folder / "model.safetensors", flags["--experts"]).model
    assert not any(parameter.requires_grad for parameter in model.body.parameters())
    assert all(parameter.requires_grad for parameter in model.part.parameters())


def test_a_broken_clip_is_recorded_and_counted(trained, tmp_path):
    folder, flags, _ = trained
    found = recognize(flags, folder / "model.safetensors", tmp_path / "logits.zarr")
    assert found.failed == {"test12": "cut off"}
    scores = {name: tmp_path / name for name in ("scores.json", "per_video.csv", "per_class.csv")}
    score_recognizer.run(
        logits=tmp_path / "logits.zarr", labels=flags["--labels"], groups=[], part=None, split="test",
        out=scores["scores.json"], per_video=scores["per_video.csv"], per_class=scores["per_class.csv"],
    )  # fmt: skip
    told = read_json(scores["scores.json"], [], "score_recognizer")
    assert (told["num_covered"], told["num_videos"]) == (12, 13)
    assert told["failed"] == {"test12": "cut off"}
    with scores["per_video.csv"].open() as file:
        assert len(list(csv.DictReader(file))) == 12


def test_views_and_features_are_those_of_the_model(trained, tmp_path):
    folder, flags, _ = trained
    model = read_cast(folder / "model.safetensors", flags["--experts"]).model
    views = ViewSettings.model_validate_json(json.dumps(VIEWS))
    x = ViewReader(ClipStore(flags["--clips"]), plain().frames, views, 3).read(["test1"])[0]
    with torch.no_grad():
        expected, vectors = model(x)["class"], model.features(x[1:2])
    found = recognize(flags, folder / "model.safetensors", tmp_path / "logits.zarr").video("test1")["logits"]
    assert found == pytest.approx(expected.numpy(), abs=1e-5)
    (shard,) = [path for path in flags["--clips"] if "test1" in ClipStore([path]).ids]
    stored = {"clips": shard, "model": folder / "model.safetensors", "out": tmp_path / "features.zarr"}
    extract_features.run(**stored, experts=flags["--experts"], settings=views, threads=1)
    assert read(tmp_path / "features.zarr", FEATURES).video("test1")["x"] == pytest.approx(vectors[0].numpy(), abs=1e-3)


def test_without_epochs_the_experts_alone_are_the_model(tmp_path):
    flags = write_all(tmp_path, num_train=3, num_val=2)
    assert train(tmp_path, flags, plain({"epochs": 0, "schedule": "constant", "least_lr": 0.0})) == []
    assert read_cast(tmp_path / "model.safetensors", flags["--experts"]).heads == {"class": CLASSES}


def test_a_few_clips_and_epochs_of_some(tmp_path):
    flags = write_all(tmp_path, num_train=18, num_val=3)
    rows = train(tmp_path, flags, settings({"per_class": 2, "epoch_clips": 3, "batch_size": 3, "epochs": 1}))
    assert rows[0]["step"] == "1"


def test_it_has_no_regions(trained, tmp_path):
    folder, flags, _ = trained
    given = {"clips": flags["--clips"], "labels": flags["--labels"], "model": folder / "model.safetensors"}
    given |= {"out": tmp_path / "r.zarr", "scores": tmp_path / "s.json", "truth": [], "kind": "folder", "shown": 1}
    views = ViewSettings.model_validate_json(json.dumps(VIEWS))
    with pytest.raises(
        PipelineError, match="a cast recognizer has no graph modules, so nothing in it looks at regions"
    ):
        extract_regions.run(**given, split="test", settings=views, threads=1)


def test_experts_must_be_given_and_be_those_of_the_training(trained, tmp_path):
    folder, flags, _ = trained
    model = folder / "model.safetensors"
    with pytest.raises(PipelineError, match="needs the files of its two experts: give --experts"):
        recognize(flags, model, tmp_path / "a.zarr", experts=[])
    other = write_experts(tmp_path / "other", CLIP_ARCH | {"embed_dim": 4}, MAE_ARCH)
    with pytest.raises(PipelineError, match="trained over another spatial expert"):
        recognize(flags, model, tmp_path / "b.zarr", experts=[other[0], flags["--experts"][1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_backbone": True}, "the experts of CAST are always frozen: write false"),
        ({"kick_start": {"teachers": {}, "share": 0.1, "weight": 1.0}}, "teaches the regions of graph modules"),
    ],
)
def test_what_cast_lacks_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        settings(change)


def test_mixed_pixels_are_not_stored():
    with pytest.raises(ValueError, match=r"`augmentation.mixup` mixes pixels: write null for one of them"):
        settings(stored_views=2)
