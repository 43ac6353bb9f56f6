"""The stage with small maps: equal bytes, interruptions, processes, optimisers, and what it learns."""

import copy
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close
from toys.captioner import DECODING
from toys.maps import CHANNELS, MODEL, TRAINING, MapToys, write_map_toys

from pipeline.artifact import write_json
from pipeline.artifact.vocabulary_file import read_vocabulary
from pipeline.captioning.batches import EpochPlan, captioned
from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.captioning.lstm_file import load_lstm
from pipeline.captioning.lstm_training import LstmTraining, loss_sum
from pipeline.captioning.map_batches import MapPieces, iterate_map_captions
from pipeline.captioning.map_set import load_maps
from pipeline.captioning.model_file import load_captioner
from pipeline.config import LstmSettings, LstmTrainingSettings
from pipeline.errors import PipelineError
from pipeline.jobs import preemption, training_run
from pipeline.stages.train_lstm import run
from pipeline.vocabulary import split_words

ROOT = Path(__file__).parents[2]


def train(toys: MapToys, folder: Path, **changes) -> tuple[bytes, list[dict[str, str]]]:
    """The bytes of the model, and the curves."""
    settings = {"model": MODEL, "training": TRAINING, "seed": 1, "threads": 1, "checkpoints": folder / "checkpoints"}
    out, curves = folder / "model.safetensors", folder / "curves.csv"
    files = {"maps": [toys.maps], "captions": toys.captions, "vocabulary": toys.vocabulary}
    run(**files, out=out, curves=curves, **{**settings, **changes})
    with curves.open() as file:
        return out.read_bytes(), list(csv.DictReader(file))


@pytest.mark.slow
def test_two_runs_give_the_same_bytes_and_the_test_split_none(tmp_path):
    toys = write_map_toys(tmp_path)
    first = train(toys, tmp_path / "first")
    dataset = json.loads(toys.captions.read_text())
    for video_id in dataset["splits"]["test"]:
        dataset["captions"][video_id] = ["something else altogether"]
    write_json(tmp_path / "changed.json", dataset)
    assert train(MapToys(toys.maps, tmp_path / "changed.json", toys.vocabulary), tmp_path / "second") == first
    assert [row["epoch"] for row in first[1]] == ["1", "2", "3", "4"]
    assert [row["val_cider"] != "" for row in first[1]] == [False, True, False, True]
    assert [row["lr"] for row in first[1]] == ["0.010000"] * 4
    assert train(toys, tmp_path / "third", seed=2)[0] != first[0]
    assert not list((tmp_path / "first" / "checkpoints").glob("*/*.ckpt"))


class Killed(Exception):  # noqa: N818
    pass


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["none", "plateau"])
def test_a_killed_run_goes_on_as_if_nothing_had_been(tmp_path, monkeypatch, schedule):
    """With noise, and with a learning rate that validation has lowered."""
    toys = write_map_toys(tmp_path)
    plateau = 1 if schedule == "plateau" else None
    settings = {"training": TRAINING.model_copy(update={"schedule": schedule, "plateau": plateau})}
    if plateau:
        monkeypatch.setattr(LstmTraining, "_validation_loss", lambda _: 1.0)
    undisturbed = train(toys, tmp_path / "undisturbed", **settings)
    if plateau:
        assert [row["lr"] for row in undisturbed[1]] == ["0.010000", "0.010000", "0.001000", "0.000100"]
    whole, steps = LstmTraining.loss, []

    def killed_in_step_6(self, batch):
        steps.append(batch)
        if len(steps) == 6:
            raise Killed
        return whole(self, batch)

    monkeypatch.setattr(LstmTraining, "loss", killed_in_step_6)
    with pytest.raises(Killed):
        train(toys, tmp_path / "disturbed", **settings)
    assert not (tmp_path / "disturbed" / "model.safetensors").exists()
    monkeypatch.setattr(LstmTraining, "loss", whole)
    assert train(toys, tmp_path / "disturbed", **settings) == undisturbed


@pytest.mark.slow
def test_sigterm_saves_and_the_next_call_goes_on(tmp_path, monkeypatch):
    toys = write_map_toys(tmp_path)
    undisturbed = train(toys, tmp_path / "undisturbed")
    whole, steps = LstmTraining.loss, []

    def told_in_step_3(self, batch):
        steps.append(batch)
        return whole(self, batch)

    monkeypatch.setattr(LstmTraining, "loss", told_in_step_3)
    with monkeypatch.context() as told:
        told.setattr(preemption, "sigterm_received", lambda: len(steps) >= 3)
        with pytest.raises(preemption.Preempted):
            train(toys, tmp_path / "disturbed")
    assert len(steps) == 3
    assert train(toys, tmp_path / "disturbed") == undisturbed
    assert len(steps) == 8


@pytest.mark.slow
def test_a_checkpoint_after_every_step_changes_nothing(tmp_path, monkeypatch):
    toys = write_map_toys(tmp_path)
    undisturbed = train(toys, tmp_path / "undisturbed")
    monkeypatch.setattr(training_run, "SECONDS_BETWEEN", -1.0)
    assert train(toys, tmp_path / "saved") == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["none", "temporal", "spatiotemporal"])
def test_it_learns_what_the_maps_show(tmp_path, attention):
    toys = write_map_toys(tmp_path, num_train=12, num_val=3, num_test=3)
    settings = TRAINING.model_copy(update={"epochs": 40, "validate_every": 10})
    model = MODEL.model_copy(update={"attention": attention, "hidden": 24})
    _, curves = train(toys, tmp_path, model=model, training=settings)
    assert float(curves[-1]["train_loss"]) < 0.5 * float(curves[0]["train_loss"])
    captioner, vocabulary = load_lstm(tmp_path / "model.safetensors")
    assert captioner.attends_to == attention
    dataset = json.loads(toys.captions.read_text())
    ids = dataset["splits"]["train"] + dataset["splits"]["test"]
    found = iterate_map_captions(captioner, vocabulary, load_maps([toys.maps]), ids, DECODING)
    for video_id, caption in zip(ids, found, strict=True):
        truths = {vocabulary.decode(vocabulary.encode(split_words(text))) for text in dataset["captions"][video_id]}
        assert caption.text in truths


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "adabound"])
@pytest.mark.parametrize("schedule", ["none", "plateau", "polynomial", "cosine"])
def test_every_optimiser_and_schedule_lowers_the_loss(tmp_path, optimizer, schedule):
    toys = write_map_toys(tmp_path)
    changes = {
        "optimizer": optimizer,
        "final_lr": 0.1 if optimizer == "adabound" else None,
        "lr": 0.1 if optimizer == "sgd" else 0.01,
        "schedule": schedule,
        "plateau": 5 if schedule == "plateau" else None,
        "weight_decay": 1e-4,
    }
    _, curves = train(toys, tmp_path, training=TRAINING.model_copy(update=changes))
    assert float(curves[-1]["train_loss"]) < float(curves[0]["train_loss"])
    assert (curves[-1]["lr"] != curves[0]["lr"]) == (schedule in ("polynomial", "cosine"))


def train_in_two(toys: MapToys, folder: Path, training: LstmTrainingSettings) -> list[dict[str, str]]:
    """Train in two processes; the curves."""
    folder.mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "pipeline", "train_lstm", "--maps", str(toys.maps)]
    command += ["--captions", str(toys.captions), "--vocabulary", str(toys.vocabulary)]
    command += ["--checkpoints", str(folder / "checkpoints")]
    command += ["--out", str(folder / "model.safetensors"), "--curves", str(folder / "curves.csv")]
    command += ["--model", MODEL.model_dump_json(), "--training", training.model_dump_json()]
    command += ["--seed", "1", "--threads", "1"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"train_lstm: epoch 1 of {training.epochs}") == 1
    with (folder / "curves.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path):
    """But for the norms, which see the videos of a process in training; of their statistics all have the mean."""
    toys, two = write_map_toys(tmp_path, num_train=16), tmp_path / "two"
    quiet = TRAINING.model_copy(update={"noise": 0.0, "epochs": 6, "batch_size": 16})
    curves = train_in_two(toys, two, quiet)
    _, alone = train(toys, tmp_path / "one", training=quiet)
    assert [row["step"] for row in curves] == [row["step"] for row in alone]
    for row, other in zip(curves, alone, strict=True):  # a step of 16 videos, in halves of 8
        assert float(row["train_loss"]) == pytest.approx(float(other["train_loss"]), rel=0.05)
    own, other = (load_file(folder / "model.safetensors") for folder in (tmp_path / "one", two))
    # The running mean is that of all videos, whoever has seen them.
    assert_close(other["map_norm.running_mean"], own["map_norm.running_mean"], atol=0.05, rtol=0.05)


@pytest.mark.slow
def test_a_step_of_uneven_halves_is_that_of_their_sum(tmp_path):
    """Nine videos, five and four, in one step of plain gradient descent: exact but for rounding, norms included."""
    toys, two = write_map_toys(tmp_path, num_train=9), tmp_path / "two"
    plain = {"noise": 0.0, "epochs": 1, "batch_size": 9, "captions_per_video": 1, "validate_every": 1}
    descent = {"optimizer": "sgd", "momentum": 0.0, "lr": 0.1, "clip_norm": None}
    [row] = train_in_two(toys, two, TRAINING.model_copy(update=plain | descent))
    words, maps = read_vocabulary(toys.vocabulary), load_maps([toys.maps])
    videos = captioned(maps, json.loads(toys.captions.read_text()), "train", words, toys.captions, "maps")
    torch.manual_seed(1)
    model = LstmCaptioner(MODEL, len(words), CHANNELS).train()
    total, sizes, statistics = 0.0, [], []
    for rank in range(2):
        [piece] = EpochPlan(videos, 9, 1, 1, "once", 1, 2).draw(0, rank)
        batch = MapPieces(videos, maps)[piece]
        of_rank = copy.deepcopy(model)  # each process begins with the same statistics
        loss = loss_sum(of_rank, of_rank.encode(batch.maps.float()), batch, 0.0) / batch.num_tokens
        loss.backward()
        for own, of_half in zip(model.parameters(), of_rank.parameters(), strict=True):
            own.grad = of_half.grad + (0 if own.grad is None else own.grad)
        statistics.append({name: of for name, of in of_rank.state_dict().items() if "running" in name})
        total, sizes = total + loss.item(), [*sizes, len(batch.maps)]
    assert sizes == [5, 4]
    assert float(row["train_loss"]) == pytest.approx(total, abs=2e-6)
    found = load_file(two / "model.safetensors")
    for name, own in model.named_parameters():
        assert_close(found[name], own.detach() - 0.1 * own.grad, atol=1e-6, rtol=0)
    for name, one in statistics[0].items():
        assert_close(found[name], (one + statistics[1][name]) / 2, atol=1e-6, rtol=0)


def test_a_model_file_tells_its_kind(tmp_path):
    toys = write_map_toys(tmp_path)
    train(toys, tmp_path, training=TRAINING.model_copy(update={"epochs": 1}))
    with pytest.raises(PipelineError, match="holds no bidirectional captioner: run train_captioner again"):
        load_captioner(tmp_path / "model.safetensors")
    with pytest.raises(PipelineError, match=r"vocabulary\.json is no readable model"):
        load_lstm(toys.vocabulary)


def test_what_is_refused(tmp_path):
    toys = write_map_toys(tmp_path, num_train=3, num_val=1, num_test=1, without="video-3")
    with pytest.raises(PipelineError, match="none of the 1 videos of split 'val' has both maps and a caption"):
        train(toys, tmp_path)
    few = TRAINING.model_copy(update={"accumulate": 2})
    with pytest.raises(PipelineError, match="3 captioned training videos in 1 steps leave fewer than the 2 that norms"):
        train(toys, tmp_path, training=few)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": "plateau"}, "`plateau` is the number of epochs without a better"),
        ({"plateau": 3}, "`plateau` is the number of epochs without a better"),
        ({"optimizer": "adabound"}, "`final_lr` is the rate that `optimizer: adabound` ends with"),
        ({"batch_size": 1}, "greater than or equal to 2"),
    ],
)
def test_settings_that_do_not_fit(changes, said):
    with pytest.raises(ValueError, match=said):
        LstmTrainingSettings.model_validate(TRAINING.model_dump() | changes)


def test_it_has_one_direction():
    decoding = DECODING.model_dump() | {"rerank": "both"}
    parts = {"model": MODEL.model_dump(), "training": TRAINING.model_dump(), "decoding": decoding}
    with pytest.raises(ValueError, match=r"`decoding\.rerank: both` needs two directions"):
        LstmSettings.model_validate({"kind": "lstm", **parts})
