"""Trainings that are killed go on after the last whole epoch, to the same curves, weights and captions."""

import re
import shutil
import signal
import time

from .comparison import check_results
from .conftest import Faults, seeded
from .project import Project
from .strikes import Missed, is_alive, send, wait_for_end, wait_for_job, wait_until

OUTPUTS = {
    "train_captioner": ["results/experiments/grid/model.safetensors", "results/experiments/grid/curves.csv"],
    "train_lstm": ["results/experiments/lstm/model.safetensors", "results/experiments/lstm/curves.csv"],
    "finetune_clip4clip": ["results/encoders/clip/weights.safetensors", "results/encoders/clip/retrieval.json"],
}
LOGS = {
    "train_captioner": "logs/train_captioner/grid.log",
    "train_lstm": "logs/train_lstm/lstm.log",
    "finetune_clip4clip": "logs/finetune_clip4clip/clip.log",
}
NUM_EPOCHS = {"train_captioner": 6, "train_lstm": 8, "finetune_clip4clip": 12}
LONGEST_DELAY = 0.3  # seconds after the end of an epoch; one takes about a tenth of a second, or two under load


def epochs(project: Project, stage: str) -> list[int]:
    """The epochs that the last call has done, by the log."""
    path = project.root / LOGS[stage]
    return numbers_in(path.read_text(encoding="utf-8")) if path.exists() else []


def numbers_in(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"epoch (\d+) of \d+", text)]


def remove_training(project: Project, stage: str) -> None:
    """Remove what a training made, and whatever it could go on from."""
    for output in OUTPUTS[stage]:
        (project.root / output).unlink()
    (project.root / LOGS[stage]).unlink()
    shutil.rmtree(project.root / "checkpoints", ignore_errors=True)


def strike_training(faults: Faults, stage: str, number: signal.Signals) -> None:
    """Send a signal to a training, and call again."""
    told: list[str] = []

    def attempt() -> list[int]:
        project = faults.copy()
        remove_training(project, stage)
        last, delay = faults.rng.randrange(1, NUM_EPOCHS[stage]), faults.rng.uniform(0, LONGEST_DELAY)
        call = project.start(*OUTPUTS[stage])
        process = wait_for_job(project, call, stage)
        wait_until(lambda: last in epochs(project, stage), process)
        time.sleep(delay)
        send(process, number)
        wait_for_end(process)
        told[:] = [f"{stage}, epoch {last} + {1000 * delay:.0f} ms"]
        if call.finish() == 0:
            raise Missed
        return epochs(project, stage)

    before = faults.strike(attempt)
    project = faults.project
    project.run(*OUTPUTS[stage])
    after = epochs(project, stage)
    # An epoch is told of before it is saved: the last one that was told of may come once more, none before it.
    saved = len(before) - 1
    assert before == list(range(1, len(before) + 1))
    assert after in ([*range(first, NUM_EPOCHS[stage] + 1)] for first in (saved + 1, saved + 2))
    check_results(project, faults.undisturbed)
    faults.tell(told[0], f"{saved} epochs", len(set(after) & set(range(1, saved + 1))))


@seeded(("train_captioner", 31), ("train_captioner", 32), ("train_lstm", 38), ("finetune_clip4clip", 33))
def test_sigkill_of_a_training(faults: Faults, what: str) -> None:
    strike_training(faults, what, signal.SIGKILL)


@seeded(("train_captioner", 34), ("train_lstm", 39), ("finetune_clip4clip", 35))
def test_sigterm_to_a_training(faults: Faults, what: str) -> None:
    strike_training(faults, what, signal.SIGTERM)


@seeded(("train_captioner", 36))
def test_sigkill_of_snakemake_alone(faults: Faults, what: str) -> None:
    """The training goes on; the next call's waits for it, and takes what it made."""
    told: list[str] = []

    def attempt() -> None:
        project = faults.copy()
        remove_training(project, what)
        delay = faults.rng.uniform(0, 2.0)
        call = project.start(*OUTPUTS[what])
        process = wait_for_job(project, call, what)
        time.sleep(delay)
        call.process.kill()
        call.process.wait()
        if not is_alive(process):
            raise Missed
        told[:] = [f"{what}, {delay:.1f} s after its start"]

    faults.strike(attempt)
    project = faults.project
    log = (project.root / LOGS[what]).open(encoding="utf-8")  # of the first call; the next one begins another file
    (project.root / LOGS[what]).unlink()
    project.run("--unlock")
    project.run(*OUTPUTS[what])
    with log:
        assert numbers_in(log.read()) == list(range(1, NUM_EPOCHS[what] + 1))
    assert epochs(project, what) == []
    check_results(project, faults.undisturbed)
    faults.tell(told[0], f"{NUM_EPOCHS[what]} epochs", 0)
