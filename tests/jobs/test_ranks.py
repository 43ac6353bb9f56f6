"""The launcher's exit codes. What ranks do together is tested in test_resumed_trainings.py."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed import run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from pipeline.errors import PipelineError
from pipeline.jobs import ranks

# Read by every Python that starts: in a rank, a stage that tells the launcher to stop when both ranks are at work.
STAGE = """
import os

if "RANK" in os.environ:
    import signal, sys, time, types
    from pathlib import Path

    def run(*, out: Path) -> None:
        from pipeline.jobs import preemption

        with preemption.deferring_sigterm():
            out.with_name(os.environ["RANK"]).touch()
            while not all(out.with_name(rank).exists() for rank in "01"):
                time.sleep(0.02)
            if os.environ["RANK"] == "1":
                os.kill(os.getppid(), signal.SIGTERM)
            for _ in range(600):
                preemption.stop_if_requested("after a step")
                time.sleep(0.1)

    sys.modules["pipeline.stages.build_vocabulary"] = types.SimpleNamespace(run=run)
"""


def test_one_rank_is_the_command_itself(monkeypatch: pytest.MonkeyPatch):
    class BecameError(Exception):
        pass

    def become(program: str, command: list[str]) -> None:
        raise BecameError(program, command)

    monkeypatch.setattr(os, "execv", become)
    for num in ("0", "1"):
        with pytest.raises(BecameError) as became:
            ranks.main([num, "-m", "pipeline", "train_captioner", "--seed", "1"])
        command = [sys.executable, "-m", "pipeline", "train_captioner", "--seed", "1"]
        assert became.value.args == (sys.executable, command)


def test_how_it_is_called():
    for arguments in (
        [],
        ["2", "-m", "pipeline"],
        ["two", "-m", "pipeline", "train_captioner"],
        ["2", "x", "pipeline", "y"],
    ):
        with pytest.raises(PipelineError, match="usage: "):
            ranks.main(arguments)


@pytest.mark.parametrize(
    ("exit_code", "code", "told"), [(2, 2, ""), (-9, 137, "error: stage: rank 1 was killed by signal 9\n")]
)
def test_the_exit_code_is_that_of_the_first_rank_that_failed(monkeypatch, capsys, exit_code, code, told):
    def fail(_: object) -> None:
        failures = {1: ProcessFailure(1, 100, exit_code, "<N/A>"), 0: ProcessFailure(0, 101, -15, "<N/A>")}
        failures[0].timestamp = failures[1].timestamp + 1
        raise ChildFailedError("pipeline", failures)

    monkeypatch.setattr(run, "run", fail)
    monkeypatch.setattr(logging, "disable", lambda _: None)
    assert ranks.main(["2", "-m", "pipeline", "stage"]) == code
    assert capsys.readouterr().err == told


@pytest.mark.slow
def test_a_launcher_that_is_told_to_stop_says_so_once(tmp_path: Path):
    (tmp_path / "sitecustomize.py").write_text(STAGE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pipeline.jobs.ranks", "2", "-m", "pipeline"]
    command += ["build_vocabulary", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 143, done.stderr
    assert done.stderr == "build_vocabulary: stopped by SIGTERM after a step; the next call goes on from there\n"
