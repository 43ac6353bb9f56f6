"""A training that is killed goes on to the same bytes: real processes, real signals, at drawn steps."""

import csv
import json
import re
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from toys.captioner import GRID_NODES, MODEL, TRAINING, write_toys
from toys.clip import finetune_settings, write_colours
from toys.detector import settings as detector_settings
from toys.detector import write_dataset
from toys.killed_stages import run_stage
from toys.labelled_clips import NODE_NORM, settings, write_clips
from toys.maps import MODEL as LSTM_MODEL
from toys.maps import TRAINING as LSTM_TRAINING
from toys.maps import write_map_toys
from toys.masked_clips import masked_settings
from toys.small_cast import settings as cast_settings
from toys.small_cast import write_all

KILL, TERM = signal.SIGKILL, signal.SIGTERM
EPOCHS = 3
SEED = 7


@dataclass
class Training:
    """A stage, the steps of an epoch, its flags, and its outputs by flag."""

    stage: str
    steps: int
    flags: dict[str, object]
    outputs: dict[str, str]

    def arguments(self, folder: Path) -> list[object]:
        """Stage and flags, with the outputs in a folder."""
        places = {"--checkpoints": folder / "checkpoints"}
        places |= {flag: folder / name for flag, name in self.outputs.items()}
        given: list[object] = [self.stage]
        for flag, value in {**self.flags, **places}.items():
            given += [flag, *(value if isinstance(value, list) else [value])]
        return given

    def run(self, folder: Path, number: int = 0, after_step: int = 0, num_ranks: int = 1) -> tuple[int, str]:
        """The exit code, of all ranks, and the log."""
        folder.mkdir(exist_ok=True)
        codes = run_stage(self.arguments(folder), folder / "log", number, after_step, num_ranks)
        log = (folder / "log").read_text()
        assert len(set(codes)) == 1, (codes, log)
        return codes[0], log

    def results(self, folder: Path) -> list[bytes]:
        return [(folder / name).read_bytes() for name in self.outputs.values()]

    def losses(self, folder: Path) -> list[float]:
        """The training loss of each epoch."""
        if "--curves" in self.outputs:
            with (folder / self.outputs["--curves"]).open() as file:
                return [float(row["train_loss"]) for row in csv.DictReader(file)]
        scores = json.loads((folder / next(reversed(self.outputs.values()))).read_text())
        return [epoch["loss"] for epoch in scores["epochs"]]


def clip(folder: Path) -> Training:
    write_colours(folder, {"train": 16, "val": 4, "test": 0})
    settings = finetune_settings(epochs=EPOCHS, batch_size=4)
    flags = {"--frames": [folder / "0.zarr", folder / "1.zarr"], "--settings": settings.model_dump_json()}
    outputs = {"--out": "weights.safetensors", "--retrieval": "scores.json"}
    return Training("finetune_clip4clip", 4, flags | {"--captions": folder / "captions.json", "--threads": 1}, outputs)


def detector(folder: Path) -> Training:
    write_dataset(folder, {"train": 8, "val": 2, "test": 0})
    settings = detector_settings(frames=24, epochs=EPOCHS, batch_size=4)
    flags = {"--frames": folder / "frames.zarr", "--truth": folder / "truth.json"}
    flags |= {"--settings": settings.model_dump_json(), "--captions": folder / "captions.json", "--threads": 1}
    return Training("finetune_detector", 6, flags, {"--out": "weights.safetensors", "--detection": "scores.json"})


def captioner(folder: Path, dropout: float = MODEL.dropout) -> Training:
    toys = write_toys(folder, num_train=16)
    training = TRAINING.model_copy(update={"batch_size": 4, "accumulate": 2, "validate_every": 1, "epochs": EPOCHS})
    flags = {"--graphs": toys.graphs, "--pair-motion": [], "--knowledge": [], "--objects": []}
    flags |= {"--captions": toys.captions, "--vocabulary": toys.vocabulary, "--threads": 1, "--seed": 1}
    model = MODEL.model_copy(update={"dropout": dropout})
    flags |= {"--model": model.model_dump_json(), "--training": training.model_dump_json()}
    outputs = {"--out": "model.safetensors", "--curves": "curves.csv"}
    return Training("train_captioner", 4, flags | {"--nodes": GRID_NODES.model_dump_json()}, outputs)


def lstm(folder: Path) -> Training:
    """With dropout and with noise on the maps."""
    toys = write_map_toys(folder, num_train=16)
    training = LSTM_TRAINING.model_copy(update={"schedule": "cosine", "validate_every": 1, "epochs": EPOCHS})
    flags = {"--maps": toys.maps, "--captions": toys.captions, "--vocabulary": toys.vocabulary, "--threads": 1}
    model = LSTM_MODEL.model_copy(update={"attention": "spatiotemporal", "dropout": 0.3})
    flags |= {"--model": model.model_dump_json(), "--training": training.model_dump_json(), "--seed": 1}
    return Training("train_lstm", 4, flags, {"--out": "model.safetensors", "--curves": "curves.csv"})


def recognizer(folder: Path) -> Training:
    """With batch norm, of which each rank has statistics of its own clips."""
    flags = write_clips(folder, num_train=16, num_val=6, num_test=0)
    given = settings({"epochs": EPOCHS, "accumulate": 2, "schedule": "plateau", "steps": [1]}, modules=[NODE_NORM])
    flags |= {
        "--features": [],
        "--groups": [],
        "--part": ["null"],
        "--weights": [],
        "--experts": [],
        "--fronts": [],
        "--teachers": [],
        "--recognizer": given.model_dump_json(),
        "--seed": 1,
        "--threads": 1,
    }
    return Training("train_recognizer", 4, flags, {"--out": "model.safetensors", "--curves": "curves.csv"})


def masked(folder: Path) -> Training:
    """The picture of what was told is one of the outputs."""
    flags = write_clips(folder, num_train=16, num_val=6, num_test=0)
    flags |= {"--captions": [], "--settings": masked_settings({"epochs": EPOCHS}).model_dump_json()}
    outputs = {"--out": "weights.safetensors", "--reconstructions": "told.png", "--pretraining": "losses.json"}
    return Training("pretrain_videomae", 4, flags | {"--threads": 1}, outputs)


def cast(folder: Path) -> Training:
    """With all that is random in it: RandAugment, mixed clips and drop path, which do not depend on ranks."""
    flags = write_all(folder, num_train=16, num_val=6, num_test=0)
    given = cast_settings({"epochs": EPOCHS, "accumulate": 2})
    flags |= {"--features": [], "--fronts": [], "--groups": [], "--part": ["null"], "--weights": [], "--teachers": []}
    flags |= {"--recognizer": given.model_dump_json(), "--seed": 1, "--threads": 1}
    return Training("train_recognizer", 4, flags, {"--out": "model.safetensors", "--curves": "curves.csv"})


@pytest.mark.slow
@pytest.mark.parametrize("make", [cast, clip, detector, captioner, lstm, recognizer, masked])
def test_it_goes_on_to_the_same_bytes(tmp_path, make):
    """After SIGTERM in the middle of an epoch, SIGKILL in the last step of the next one, and SIGTERM there, too."""
    made = make(tmp_path)
    code, log = made.run(tmp_path / "undisturbed")
    assert code == 0, log
    folder = tmp_path / "disturbed"
    middle = int(np.random.default_rng(SEED).integers(1, made.steps))
    print(f"seed {SEED}: SIGTERM after step {middle}, SIGKILL and SIGTERM after step {2 * made.steps}")
    saved = 0  # steps
    for number, step in ((TERM, middle), (KILL, 2 * made.steps), (TERM, 2 * made.steps)):
        code, log = made.run(folder, number, step - saved)
        assert "Traceback" not in log
        assert_continued(log, saved, made.steps)
        assert code == {KILL: -KILL, TERM: 143}[number], log
        assert ("stopped by SIGTERM after " in log) == (number == TERM)
        saved = step if number == TERM else made.steps
        assert not (folder / made.outputs["--out"]).exists()
    code, log = made.run(folder)
    assert code == 0, log
    assert_continued(log, saved, made.steps)
    undisturbed = made.results(tmp_path / "undisturbed")
    assert made.results(folder) == undisturbed
    assert not list(tmp_path.glob("*/checkpoints/**/*.ckpt"))
    for name in made.outputs.values():  # as Snakemake does, if it was dead when the training ended
        (folder / name).unlink()
    code, log = made.run(folder)
    assert code == 0, log
    assert "the training was complete already" in log
    assert "epoch" not in log
    assert made.results(folder) == undisturbed


def assert_continued(log: str, saved: int, steps: int) -> None:
    """From the middle of an epoch, or from its end, of which the scores may have been missing."""
    epoch, step = divmod(saved, steps)
    places = {f"step {step} of epoch {epoch + 1}"} | ({f"step {steps} of epoch {epoch}"} if step == 0 else set())
    found = set(re.findall(r"continuing after (.*)", log))
    assert found <= places
    assert bool(found) == (saved > 0)


@pytest.mark.slow
@pytest.mark.parametrize("make", [cast, clip, captioner, lstm, recognizer, masked])
def test_all_ranks_stop_after_the_same_step_and_go_on_to_the_same_bytes(tmp_path, make):
    """SIGTERM comes to the second one alone."""
    made = make(tmp_path)
    step = int(np.random.default_rng(SEED).integers(1, made.steps))
    folder, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    assert made.run(undisturbed, num_ranks=2)[0] == 0
    code, log = made.run(folder, TERM, made.steps + step, num_ranks=2)
    assert code == 143, log
    assert log.count(f"stopped by SIGTERM after step {step} of epoch 2; the next call") == 1
    assert "Traceback" not in log
    code, log = made.run(folder, num_ranks=2)
    assert code == 0, log
    assert log.count(f"continuing after step {step} of epoch 2") == 1
    assert made.results(folder) == made.results(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("make", [cast, clip, captioner, lstm])
def test_after_sigkill_of_a_rank_a_training_goes_on_to_the_same_bytes(tmp_path, make):
    """The other rank ends, because it has nobody to talk to; both go on from the end of the first epoch."""
    made = make(tmp_path)
    folder, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    assert made.run(undisturbed, num_ranks=2)[0] == 0
    codes = run_stage(made.arguments(folder), folder.with_suffix(".log"), KILL, made.steps + 1, num_ranks=2)
    assert codes[1] == -KILL
    assert codes[0] != 0
    assert not (folder / made.outputs["--out"]).exists()
    code, log = made.run(folder, num_ranks=2)
    assert code == 0, log
    assert_continued(log, made.steps, made.steps)
    assert made.results(folder) == made.results(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("make", [cast, clip, partial(captioner, dropout=0.0), masked])
def test_another_number_of_ranks_goes_on_with_the_same_losses(tmp_path, make):
    """One is told to stop in the middle of an epoch, and two go on; the captioner's dropout, seeded by rank, is off."""
    made = make(tmp_path)
    folder, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    assert made.run(undisturbed)[0] == 0
    assert made.run(folder, TERM, made.steps + 1)[0] == 143
    code, log = made.run(folder, num_ranks=2)
    assert code == 0, log
    assert "continuing after step 1 of epoch 2" in log
    assert made.losses(folder) == pytest.approx(made.losses(undisturbed), abs=1e-4)
