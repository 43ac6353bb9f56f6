"""Regions of a recognizer that has learned nothing: its DyReg still looks where it began, at the centre."""

import json

import numpy as np
import pytest
import torch
from toys.labelled_clips import CLASSES, VIEWS, write_clips
from toys.recognized import recognizer

from pipeline.artifact import read, read_json, write_json
from pipeline.config import ViewSettings
from pipeline.errors import PipelineError
from pipeline.recognition.looks import of_frame, square_shares
from pipeline.recognition.model_file import describe
from pipeline.recognition.recognizer import build_recognizer
from pipeline.schemas import REGIONS
from pipeline.stages import extract_regions
from pipeline.weights.saving import save_weights

VIEW = ViewSettings.model_validate_json(json.dumps(VIEWS))
CENTRE = [0.4, 0.4, 0.6, 0.6]


def extract(folder, name="regions", truth=(), kind="folder", shown=2):
    """Run the stage; return the store and the scores."""
    settings = recognizer(name)
    torch.manual_seed(1)
    model = build_recognizer(settings, {"class": len(CLASSES)})
    save_weights(model.state_dict(), folder / "model.safetensors", describe(settings, {"class": CLASSES}, "random"))
    flags = write_clips(folder, num_train=2, num_val=1, num_test=5)
    extract_regions.run(
        clips=flags["--clips"],
        labels=flags["--labels"],
        truth=list(truth),
        model=folder / "model.safetensors",
        out=folder / "regions.zarr",
        scores=folder / "region_scores.json",
        split="test",
        kind=kind,
        shown=shown,
        settings=VIEW,
        threads=1,
    )
    scores = read_json(folder / "region_scores.json", ["places", "statistics", "scores"], "extract_regions")
    return read(folder / "regions.zarr", REGIONS), scores


def test_regions_attention_and_nearness(tmp_path):
    body = {"colour": "red", "shape": "star", "size": "small", "action": "grows", "boxes": [CENTRE] * 5}
    clip = {"objects": [body], "relation": None, "fps": 4.0, "num_frames": 5, "width": 40, "height": 28}
    content = {"videos": {f"test{i}": clip for i in range(5)}, "vocabulary": [], "held_out_pairs": []}
    write_json(tmp_path / "truth.json", content)
    store, scores = extract(tmp_path, truth=[tmp_path / "truth.json"], kind="shapes")

    assert store.ids == ["test0", "test2"]
    assert scores["places"] == ["conv2", "conv1"]
    rows = store.video("test0", list(REGIONS.arrays))
    assert rows["place"].tolist() == [0] * 27 + [1] * 42  # nine and fourteen nodes in each of three frames
    assert rows["step"][:27].tolist() == [0] * 9 + [1] * 9 + [2] * 9
    assert len(rows["weight"]) == 3 * (9 * 9 + 14 * 14)
    assert (rows["step"][rows["target"]] == rows["step"][rows["source"]]).all()
    assert (rows["place"][rows["target"]] == rows["place"][rows["source"]]).all()
    of_first = rows["weight"][rows["target"] == 0]
    assert len(of_first) == 9
    assert (of_first >= 0).all()
    centres = (rows["box"][:27, :2] + rows["box"][:27, 2:]) / 2
    assert np.abs(centres - 0.5).max() < 1e-6

    assert sorted(scores["statistics"]["conv2"]["module"]) == ["test0", "test1", "test2", "test3"]  # test4 has failed
    of_dyreg = scores["scores"]["conv2"]
    assert of_dyreg["module"] == of_dyreg["centre"]
    assert of_dyreg["module"]["distance"][0] < 1e-5
    assert of_dyreg["grid"]["distance"][0] > 0.05
    assert of_dyreg["grid"]["distance"][1:] == [None, None]  # four clips give no interval
    assert scores["scores"]["conv1"]["module"]["recall"][0] > 0


def test_without_known_objects_there_are_no_distances(tmp_path):
    store, scores = extract(tmp_path, shown=1)
    assert store.ids == ["test0"]
    assert (scores["statistics"], scores["scores"], scores["num_clips"]) == ({}, {}, 1)


def test_a_module_without_messages_has_regions_and_no_pairs(tmp_path):
    rows = extract(tmp_path, "silent")[0].video("test0", ["box", "weight"])
    assert (rows["box"].shape, rows["weight"].shape) == ((42, 4), (0,))


def test_a_recognizer_without_modules_looks_at_no_regions(tmp_path):
    with pytest.raises(PipelineError, match="has no graph modules"):
        extract(tmp_path, "plain")


def test_shares_of_the_square_become_shares_of_the_frame():
    window = square_shares(100, 200, VIEW.model_copy(update={"short_side": 100, "size": 50}))
    assert window.tolist() == [0.375, 0.25, 0.625, 0.75]
    assert of_frame(np.array([0.0, 0.0, 1.0, 0.5]), window).tolist() == [0.375, 0.25, 0.625, 0.5]
    assert square_shares(100, 200, VIEW.model_copy(update={"short_side": None})).tolist() == [0, 0, 1, 1]
