import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from toys.detector import CLASSES, draw_video, settings, write_dataset

from pipeline.config import DetectorSettings
from pipeline.errors import PipelineError
from pipeline.models.detector import SMALL, load_detector
from pipeline.stages.finetune_detector import run


def tune(folder: Path, name: str, chosen: DetectorSettings) -> tuple[Path, dict]:
    out, detection = folder / f"{name}.safetensors", folder / f"{name}.json"
    run(
        frames=[folder / "frames.zarr" / "zarr.json"],
        truth=[folder / "truth.json"],
        captions=folder / "captions.json",
        checkpoints=folder / f"{name}.checkpoints",
        out=out,
        detection=detection,
        settings=chosen,
        threads=1,
    )
    return out, json.loads(detection.read_text())


@pytest.mark.slow
def test_it_learns_to_find_and_to_tell_apart(tmp_path: Path):
    write_dataset(tmp_path, {"train": 40, "val": 12, "test": 3})
    out, said = tune(tmp_path, "trained", settings(frames=120, epochs=10))
    assert said["classes"] == CLASSES
    assert said["num_frames"] == {"train": 120, "val": 36}
    assert [epoch["epoch"] for epoch in said["epochs"]] == list(range(1, 11))
    assert said["epochs"][-1]["loss"] < said["epochs"][0]["loss"] / 2
    assert said["mean_average_precision"] == pytest.approx(np.mean(list(said["average_precision"].values())))
    assert said["mean_average_precision"] > 0.7
    assert all(video_id.startswith("train-") for video_id in said["train_ids"])
    model, categories = load_detector(out, SMALL, 32)
    assert categories == ["background", *CLASSES]
    with safe_open(out, "pt") as file:
        assert file.metadata()["origin"] == "trained on shapes from random"
    frames, truth = draw_video(np.random.default_rng(99), 1, 44)
    with torch.inference_mode():
        found = model([torch.from_numpy(frames[0]).permute(2, 0, 1) / 255])[0]
    box = np.array(truth["objects"][0]["boxes"][0]) * [44, 32, 44, 32]
    np.testing.assert_allclose(found["boxes"][0], box, atol=4)
    assert categories[found["labels"][0]] == truth["objects"][0]["shape"]


@pytest.mark.slow
def test_equal_runs_give_equal_files_and_leave_the_generators_alone(tmp_path: Path):
    write_dataset(tmp_path, {"train": 6, "val": 2, "test": 1})
    first, said = tune(tmp_path, "first", settings(frames=12))
    state = torch.random.get_rng_state()
    second, again = tune(tmp_path, "second", settings(frames=12))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert said == again
    assert first.read_bytes() == second.read_bytes()
    other, _ = tune(tmp_path, "other", settings(frames=12, seed=2))
    assert first.read_bytes() != other.read_bytes()


@pytest.mark.slow
def test_training_goes_on_from_a_file(tmp_path: Path):
    write_dataset(tmp_path, {"train": 3, "val": 0, "test": 0})
    first, said = tune(tmp_path, "first", settings(frames=6))
    assert said["mean_average_precision"] is None
    chosen = settings(frames=6, lr=1e-9).model_copy(update={"weights": str(first), "seed": 5})
    second, said = tune(tmp_path, "second", chosen)
    assert said["origin"].startswith("trained on shapes from file first.safetensors sha256 ")
    before, after = (load_detector(path, SMALL, 32)[0].state_dict() for path in (first, second))
    torch.testing.assert_close(after["roi_heads.box_head.fc6.weight"], before["roi_heads.box_head.fc6.weight"])
    assert not torch.allclose(
        after["roi_heads.box_predictor.cls_score.weight"], before["roi_heads.box_predictor.cls_score.weight"]
    )


def test_nothing_to_learn_from_is_said(tmp_path: Path):
    write_dataset(tmp_path, {"train": 0, "val": 1, "test": 0})
    with pytest.raises(PipelineError, match="no training video of shapes has frames and boxes"):
        tune(tmp_path, "none", settings())
    with pytest.raises(PipelineError, match="`finetune: null`"):
        tune(tmp_path, "none", settings().model_copy(update={"finetune": None}))


@pytest.mark.slow
def test_a_rate_that_is_too_high_is_said(tmp_path: Path):
    write_dataset(tmp_path, {"train": 4, "val": 0, "test": 0})
    with pytest.raises(PipelineError, match=r"the loss of epoch \d is no number: lower `lr` \(is 1e\+20\)"):
        tune(tmp_path, "wild", settings(frames=12, lr=1e20, warmup=0.0, batch_size=2))
