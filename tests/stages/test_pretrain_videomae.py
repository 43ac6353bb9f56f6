"""The pre-training of VideoMAE as the command line runs it, on small clips of stripes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from toys.labelled_clips import write_clips
from toys.masked_clips import ARCH, masked_settings
from toys.project_sources import ROOT

from pipeline.__main__ import main
from pipeline.artifact import read_json, write_json
from pipeline.errors import PipelineError
from pipeline.recognition.towers.temporal_weights import draw_tower, read_temporal, save_temporal
from pipeline.stages.pretrain_videomae import run


def pretrain(folder, flags, settings, captions=None):
    places = {"out": "weights.safetensors", "pretraining": "losses.json", "reconstructions": "told.png"}
    folder.mkdir(exist_ok=True)
    run(
        clips=flags["--clips"],
        labels=[flags["--labels"]] if captions is None else [],
        captions=[] if captions is None else [captions],
        checkpoints=folder / "checkpoints",
        settings=settings,
        threads=1,
        **{name: folder / place for name, place in places.items()},
    )
    return json.loads((folder / "losses.json").read_text())


def change(path, **splits):
    content = read_json(path, [], "index_labels")
    content["splits"] |= splits
    write_json(path, content)


def test_hidden_pixels_are_learned(tmp_path):
    """What is told improves on validation clips, too; the encoder alone is kept, with its sizes and its origin."""
    flags = write_clips(tmp_path, num_train=60, num_val=6, num_test=1)
    settings = masked_settings({"epochs": 4, "lr": 0.01, "batch_size": 4, "accumulate": 1, "masked": 0.5})

    told = pretrain(tmp_path / "run", flags, settings)

    losses = [epoch["val_loss"] for epoch in told["epochs"]]
    assert [epoch["epoch"] for epoch in told["epochs"]] == [1, 2, 3, 4]
    assert losses[-1] < 0.8 * losses[0]
    assert told["num_clips"] == {"train": 60, "val": 6}
    assert told["settings"] == settings.pretrain.model_dump(mode="json")
    assert told["shown"] == ["val0", "val1", "val2", "val3"]
    tower = read_temporal(tmp_path / "run/weights.safetensors")
    assert (tower.width, tower.frames) == (ARCH["width"], ARCH["frames"])
    fresh = draw_tower(settings.arch, 1).state_dict()
    assert tower.state_dict().keys() == fresh.keys()
    assert all(block.attn.q_bias.any() for block in tower.blocks)
    with Image.open(tmp_path / "run/told.png") as picture:
        assert picture.size == (4 * 74 - 2, 4 * (3 * 74 + 6) - 8)


def test_only_training_clips_are_learned_from(tmp_path):
    """Test clips may be missing, and others take their place: not a byte of the weights changes."""
    flags = write_clips(tmp_path, num_train=8, num_val=2, num_test=4)
    settings = masked_settings({"epochs": 1})
    told = pretrain(tmp_path / "one", flags, settings)
    change(flags["--labels"], test=[], val=["test0"])
    other = pretrain(tmp_path / "other", flags, settings)
    assert told["train_ids"] == other["train_ids"] == [f"train{number}" for number in range(8)]
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("one", "other")]
    assert weights[0] == weights[1]


def test_captions_serve_without_labels_and_without_validation_clips(tmp_path):
    flags = write_clips(tmp_path, num_train=8, num_val=0, num_test=0)
    splits = read_json(flags["--labels"], [], "index_labels")["splits"]
    write_json(tmp_path / "captions.json", {"captions": {}, "splits": splits})
    told = pretrain(tmp_path / "run", flags, masked_settings({"epochs": 1}), tmp_path / "captions.json")
    assert told["epochs"][0]["val_loss"] is None
    assert told["shown"] == ["train0", "train1", "train2", "train3"]


def test_weights_of_a_file_are_trained_further(tmp_path):
    flags = write_clips(tmp_path, num_train=8, num_val=0, num_test=0)
    settings = masked_settings({"epochs": 1, "lr": 1e-9})
    tower = draw_tower(settings.arch, 5)
    for block in tower.blocks:
        for bias in (block.attn.q_bias, block.attn.v_bias):
            torch.nn.init.ones_(bias)
    save_temporal(tower, tmp_path / "start.safetensors", settings.arch, "random")
    named = settings.model_copy(update={"weights": str(tmp_path / "start.safetensors")})
    told = pretrain(tmp_path / "run", flags, named)
    assert told["origin"].startswith("file start.safetensors sha256 ")
    for name, tensor in load_file(tmp_path / "run/weights.safetensors").items():
        torch.testing.assert_close(tensor, tower.state_dict()[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("settings", "splits", "message"),
    [
        (masked_settings({"masked": 0.05}), {}, r"masked: 0\.05 hides 0 of the 9 places of a frame of 3 x 3 patches"),
        (masked_settings(), {"train": []}, "none of the 0 training clips has frames"),
        (masked_settings(pretrain=None).model_copy(update={"pretrain": None}), {}, "this encoder has `pretrain: null`"),
        (masked_settings({"accumulate": 5}), {}, "leave fewer than 5 a step"),
    ],
    ids=["hides nothing", "no clips", "no pre-training", "many pieces"],
)
def test_what_cannot_be_trained_is_said(tmp_path, settings, splits, message):
    flags = write_clips(tmp_path, num_train=8, num_val=2, num_test=0)
    change(flags["--labels"], **splits)
    with pytest.raises(PipelineError, match=message):
        pretrain(tmp_path / "run", flags, settings)


def arguments(flags, folder, settings):
    return [
        "pretrain_videomae", "--clips", *flags["--clips"], "--labels", flags["--labels"], "--captions",
        "--checkpoints", folder / "checkpoints", "--out", folder / "weights.safetensors",
        "--pretraining", folder / "losses.json", "--reconstructions", folder / "told.png",
        "--settings", settings.model_dump_json(), "--threads", "1",
    ]  # fmt: skip


def test_weights_of_other_sizes_end_with_one_line(tmp_path, capfd):
    flags = write_clips(tmp_path, num_train=8, num_val=0, num_test=0)
    settings = masked_settings(weights=str(tmp_path / "start.safetensors"))
    other = settings.arch.model_copy(update={"width": 8})
    save_temporal(draw_tower(other, 1), tmp_path / "start.safetensors", other, "random")
    assert main([str(part) for part in arguments(flags, tmp_path, settings)]) == 2
    error = capfd.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: pretrain_videomae: ")
    assert "start.safetensors has other sizes. Found image_size 24" in error


@pytest.mark.slow
def test_two_ranks_train_what_one_process_does(tmp_path: Path) -> None:
    """Steps of seven clips make shares of four and three; ranks draw the same crops and masks as one process."""
    flags = write_clips(tmp_path, num_train=14, num_val=3, num_test=0)
    settings = masked_settings({"batch_size": 7, "accumulate": 1, "lr": 0.01})
    one, two = pretrain(tmp_path / "one", flags, settings), tmp_path / "two"
    command = [sys.executable, "-m", "pipeline.jobs.ranks", "2", "-m", "pipeline", *arguments(flags, two, settings)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("pretrain_videomae: epoch 1 of 3") == 1
    other = json.loads((two / "losses.json").read_text())
    for key in ("loss", "val_loss"):
        found = [[epoch[key] for epoch in told["epochs"]] for told in (one, other)]
        assert found[0][-1] < found[0][0] - 0.01  # the learning shows far above the difference
        assert found[1] == pytest.approx(found[0], abs=1e-4)
    weights, others = (load_file(folder / "weights.safetensors") for folder in (tmp_path / "one", two))
    for name, tensor in weights.items():
        torch.testing.assert_close(others[name], tensor, atol=1e-3, rtol=1e-3)
