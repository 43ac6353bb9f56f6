import csv

import numpy as np
import pytest
import torch
from toys.labelled_clips import CLASSES, VIEWS, settings, write_clips

from pipeline.artifact import read
from pipeline.artifact.clip_store import ClipStore
from pipeline.config import ProbeSettings, ViewSettings
from pipeline.errors import PipelineError
from pipeline.recognition.model_file import describe, read_recognizer
from pipeline.recognition.probe import read_probe
from pipeline.recognition.recognizer import build_recognizer
from pipeline.schemas import FEATURES, LOGITS
from pipeline.stages import extract_features, recognize_videos, train_recognizer
from pipeline.weights.saving import save_weights


def probe(**others):
    training = {"epochs": 15, "batch_size": 8, "lr": 0.02, "weight_decay": 0.0, "per_class": None, "patience": None}
    given = {"kind": "probe", "features": "other", "head": "linear", "heads": 2, "dropout": 0.0, "training": training}
    return ProbeSettings(**given | others)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A recognizer with random weights, and the features of clips."""
    folder = tmp_path_factory.mktemp("features")
    flags = write_clips(folder, num_train=60, num_val=12, num_test=13)
    torch.manual_seed(1)
    given = settings()
    state = build_recognizer(given, {"class": 3}).state_dict()
    save_weights(state, folder / "model.safetensors", describe(given, {"class": CLASSES}, "random"))
    paths = []
    for shard, clips in enumerate(flags["--clips"]):
        paths.append(folder / f"features{shard}.zarr")
        extract(clips, folder / "model.safetensors", paths[-1])
    return folder, flags, paths


def extract(clips, model, out):
    views = ViewSettings(**VIEWS | {"batch_size": 5})
    extract_features.run(clips=clips, model=model, experts=[], out=out, settings=views, threads=1)


def train(folder, flags, paths, recognizer):
    places = {"checkpoints": folder / "checkpoints", "out": folder / "m.safetensors", "curves": folder / "c.csv"}
    others = {name: [] for name in ("clips", "groups", "weights", "experts", "fronts", "teachers")}
    others |= {"part": None, "seed": 1, "threads": 1, "labels": flags["--labels"]}
    train_recognizer.run(features=paths, recognizer=recognizer, **others, **places)
    with places["curves"].open() as file:
        return list(csv.DictReader(file))


def test_features_are_what_the_heads_see_of_the_central_view(stored):
    folder, flags, paths = stored
    found = read(paths[0], FEATURES)
    clips = ClipStore(flags["--clips"])
    assert found.ids == ClipStore([flags["--clips"][0]]).ids
    numbers = [0, 2, 3] if clips.num_frames(found.ids[1]) == 4 else [0, 2, 4]
    square = clips.read(found.ids[1], numbers)[:, 2:26, 8:32].transpose(0, 3, 1, 2)
    with torch.no_grad():
        expected = read_recognizer(folder / "model.safetensors").model.features(torch.from_numpy(square.copy())[None])
    assert found.video(found.ids[1])["x"].shape == (3, 8)
    assert np.allclose(found.video(found.ids[1])["x"], expected[0].numpy(), atol=1e-3)


@pytest.mark.parametrize("head", ["linear", "attentive"])
def test_a_probe_learns_and_recognizes(stored, tmp_path, head):
    _, flags, paths = stored
    rows = train(tmp_path, flags, paths, probe(head=head))
    assert max(float(row["val_top1"]) for row in rows) > 0.8
    trained = read_probe(tmp_path / "m.safetensors")
    assert trained.heads == {"class": CLASSES}
    one = ViewSettings(temporal=1, spatial=1, short_side=None, size=1, batch_size=4)
    files = {"features": paths, "labels": flags["--labels"], "model": tmp_path / "m.safetensors"}
    others = {"clips": [], "experts": [], "groups": [], "part": None, "split": "test", "threads": 1}
    recognize_videos.run(**files, **others, out=tmp_path / "logits.zarr", settings=one)
    logits = read(tmp_path / "logits.zarr", LOGITS)
    assert logits.failed == {"test12": "cut off"}
    hits = [int(logits.video(f"test{i}")["logits"][0].argmax()) == i % 3 for i in range(12)]
    assert np.mean(hits) > 0.8


def test_heads_that_do_not_divide_the_features_and_other_files(stored, tmp_path):
    folder, flags, paths = stored
    with pytest.raises(PipelineError, match="heads: 3 do not divide 8 features"):
        train(tmp_path, flags, paths, probe(head="attentive", heads=3))
    with pytest.raises(PipelineError, match="holds no probe"):
        read_probe(folder / "model.safetensors")


def test_a_store_goes_on_with_the_same_blocks(stored, tmp_path, monkeypatch):
    """Five clips a block: the first call ends after seven, in the second one."""
    folder, flags, paths = stored
    done = []

    def stop(described):
        for outcome in as_features(described):
            done.append(None)
            if len(done) > 7:
                raise KeyboardInterrupt
            yield outcome

    as_features = extract_features.as_features
    monkeypatch.setattr(extract_features, "as_features", stop)
    with pytest.raises(KeyboardInterrupt):
        extract(flags["--clips"][0], folder / "model.safetensors", tmp_path / "x.zarr")
    monkeypatch.undo()
    extract(flags["--clips"][0], folder / "model.safetensors", tmp_path / "x.zarr")
    assert (tmp_path / "x.zarr/zarr.json").read_bytes() == (paths[0] / "zarr.json").read_bytes()
