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
from pipeline.jobs import preemption
from pipeline.jobs import training_run as checkpoints
from pipeline.jobs.preemption import Preempted
from pipeline.jobs.training_run import Checkpoints, read_checkpoint, run_folder, write_checkpoint

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
    assert capsys.readouterr().err == f"{path} cannot be used (its digest is another one): training starts afresh\n"
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


def test_it_is_due_after_a_while_and_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    progress = Checkpoints(tmp_path, {"seed": 1})
    assert not progress.are_due
    progress.write(STATE, "after step 1 of epoch 1")
    monkeypatch.setattr(preemption, "sigterm_received", lambda: True)
    assert progress.are_due
    monkeypatch.undo()
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", -1.0)
    assert progress.are_due


def test_it_ends_when_told_after_it_has_saved(tmp_path: Path):
    progress = Checkpoints(tmp_path, {"seed": 1})
    with (
        pytest.raises(Preempted, match="after step 2 of epoch 1"),
        preemption.catching_sigterm(),
        preemption.deferring_sigterm(),
    ):
        os.kill(os.getpid(), 15)
        progress.write(STATE, "after step 2 of epoch 1")
    assert progress.read() is not None


def test_what_is_complete_leaves_nothing(tmp_path: Path):
    one, other = Checkpoints(tmp_path / "c", {"seed": 1}), Checkpoints(tmp_path / "c", {"seed": 2})
    one.write(STATE, "")
    other.write(STATE, "")
    one.remove()
    assert other.read() is not None
    other.remove()
    assert list(tmp_path.iterdir()) == []
    other.remove()
