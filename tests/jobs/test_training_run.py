"""The run of a training: what it leaves behind when it is interrupted, and when it has ended."""

import hashlib
import io
import os
import pickle
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.jobs import training_run as runs
from pipeline.jobs.training_run import read_checkpoint, run_folder, training_run, write_checkpoint

STATE = {"weights": {"a": torch.arange(3.0)}, "epochs": [{"epoch": 1, "loss": 0.25}], "best": None}


def equal(one: dict, other: dict) -> bool:
    return torch.equal(one["weights"]["a"], other["weights"]["a"]) and one["epochs"] == other["epochs"]


@contextmanager
def largest_file(num_bytes: int):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_written_is_read(tmp_path: Path):
    path = tmp_path / "deep" / "last.ckpt"
    assert read_checkpoint(path) is None
    write_checkpoint(path, STATE)
    found = read_checkpoint(path)
    assert found is not None
    assert equal(found, STATE)
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_full_disk_leaves_the_last_whole_checkpoint(tmp_path: Path):
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, STATE)
    larger = STATE | {"weights": {"a": torch.zeros(10_000)}}
    message = r"last\.ckpt: the file is larger than .*: 4\d\.\d kB wanted, .* free: make room and call again"
    with largest_file(20_000), pytest.raises(PipelineError, match=message):
        write_checkpoint(path, larger)
    found = read_checkpoint(path)
    assert found is not None
    assert equal(found, STATE)
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_damaged_checkpoint_is_said_and_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str], place: int):
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, STATE)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert read_checkpoint(path) is None
    told = f"WARNING: {path} cannot be used (its digest is another one): training starts afresh\n"
    assert capsys.readouterr().err == told
    path.write_bytes(content[:20])
    assert read_checkpoint(path) is None


class RunsACommand:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def dump(content: object, file: io.BytesIO) -> None:
    pickle.dump(content, file, protocol=2)


@pytest.mark.parametrize("writer", [torch.save, dump])
def test_a_checkpoint_runs_nothing(tmp_path: Path, writer):
    """Not even one that somebody has given the right digest."""
    marker, content = tmp_path / "ran", io.BytesIO()
    writer({"weights": RunsACommand(marker)}, content)
    (tmp_path / "last.ckpt").write_bytes(hashlib.sha256(content.getvalue()).digest() + content.getvalue())
    assert read_checkpoint(tmp_path / "last.ckpt") is None
    assert not marker.exists()


def test_another_run_has_another_folder(tmp_path: Path):
    keys = [{"seed": 1, "inputs": ["a"]}, {"inputs": ["a"], "seed": 1}, {"seed": 2, "inputs": ["a"]}]
    first, same, other = (run_folder(tmp_path, key) for key in keys)
    assert first == same != other


PROVENANCE = {"seed": 1}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").touch()
    return tmp_path / "out"


def test_a_checkpoint_is_due_after_a_while(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch):
    with training_run(tmp_path, PROVENANCE, [out]) as run:
        assert run.read_checkpoint() is None
        assert not run.is_due
        monkeypatch.setattr(runs, "SECONDS_BETWEEN", 0.0)
        assert run.is_due
        monkeypatch.setattr(runs, "SECONDS_BETWEEN", 60.0)
        run.write_checkpoint(STATE)
        assert not run.is_due
        assert equal(run.read_checkpoint(), STATE)


def test_a_run_that_fails_keeps_its_checkpoint_and_one_that_ends_does_not(tmp_path: Path, out: Path):
    with pytest.raises(ZeroDivisionError), training_run(tmp_path, PROVENANCE, [out]) as run:
        run.write_checkpoint(STATE)
        _ = 1 / 0
    with training_run(tmp_path, PROVENANCE, [out]) as run:
        assert equal(run.read_checkpoint(), STATE)
    assert not list(run.folder.glob("*.ckpt"))


def test_nobody_else_works_on_the_run_meanwhile(tmp_path: Path, out: Path):
    with training_run(tmp_path, PROVENANCE, [out]) as run:
        assert (run.folder / "lock").exists()
    assert not (run.folder / "lock").exists()


NAMES = ("model.safetensors", "curves.csv")


def make(folder: Path) -> bool:
    """Make the outputs unless they have been put back; whether that was so."""
    outputs = [folder / "results" / name for name in NAMES]
    with training_run(folder / "checkpoints", PROVENANCE, outputs) as run:
        if not run.is_finished:
            outputs[0].parent.mkdir(exist_ok=True)
            for output in outputs:
                output.unlink(missing_ok=True)
                output.write_text(f"content of {output.name}")
    return run.is_finished


@pytest.fixture
def deleted(tmp_path: Path) -> list[Path]:
    """Outputs of a run that has ended, deleted as Snakemake deletes them; each is kept a second time."""
    assert not make(tmp_path)
    outputs = [tmp_path / "results" / name for name in NAMES]
    assert [output.stat().st_nlink for output in outputs] == [2, 2]
    for output in outputs:
        output.unlink()
    return outputs


def test_outputs_are_put_back_and_take_no_room_twice(tmp_path: Path, deleted: list[Path]):
    assert make(tmp_path)
    assert [path.read_text() for path in deleted] == ["content of model.safetensors", "content of curves.csv"]
    assert [path.stat().st_nlink for path in deleted] == [2, 2]


def test_outputs_that_are_there_stay_and_nothing_is_left_beside_them(tmp_path: Path, deleted: list[Path]):
    assert make(tmp_path)
    assert make(tmp_path)
    assert sorted((tmp_path / "results").iterdir()) == sorted(deleted)


def test_where_there_are_no_links_they_are_copied(tmp_path: Path, deleted: list[Path], monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    assert make(tmp_path)
    assert [path.stat().st_nlink for path in deleted] == [1, 1]
    assert deleted[1].read_text() == "content of curves.csv"


@pytest.mark.parametrize("name", ["model.safetensors", "digests.json"])
def test_what_is_damaged_is_made_again(
    tmp_path: Path, deleted: list[Path], name: str, capsys: pytest.CaptureFixture[str]
):
    kept = run_folder(tmp_path / "checkpoints", PROVENANCE) / "finished"
    (kept / name).write_text("{other")
    assert not make(tmp_path)
    assert capsys.readouterr().err == f"WARNING: {kept} is damaged: the training is done again\n"
    assert make(tmp_path)  # and kept again


def test_one_that_is_missing_is_as_none(tmp_path: Path, deleted: list[Path], capsys: pytest.CaptureFixture[str]):
    (run_folder(tmp_path / "checkpoints", PROVENANCE) / "finished" / "curves.csv").unlink()
    assert not make(tmp_path)
    assert capsys.readouterr().err == ""
