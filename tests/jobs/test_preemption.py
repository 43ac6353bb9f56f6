import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.jobs import preemption
from pipeline.jobs.preemption import (
    EXIT_CODE,
    Preempted,
    catching_sigterm,
    deferring_sigterm,
    sigterm_received,
    stop_if_requested,
)


def told() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_ends_at_once_where_nothing_is_being_saved():
    with pytest.raises(Preempted, match="nothing was in hand that could be saved"), catching_sigterm():
        told()


def test_it_waits_for_a_commit_where_something_is():
    with (
        pytest.raises(Preempted, match="after 3 of 7 videos; the next call goes on from there"),
        catching_sigterm(),
        deferring_sigterm(),
    ):
        told()
        assert sigterm_received()
        with deferring_sigterm():
            pass
        stop_if_requested("after 3 of 7 videos")
    assert not sigterm_received()


def test_nobody_who_goes_on_after_failures_catches_it():
    assert not issubclass(Preempted, Exception)


def test_without_a_signal_nothing_happens():
    before = signal.getsignal(signal.SIGTERM)
    with catching_sigterm(), deferring_sigterm():
        stop_if_requested("after 1 of 2 videos")
        assert not sigterm_received()
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_passed_on_twice_counts_once_and_a_second_signal_kills(monkeypatch: pytest.MonkeyPatch):
    class KilledError(Exception):
        pass

    def kill(*_: object) -> None:
        raise KilledError

    with catching_sigterm(), deferring_sigterm():
        told()
        told()
        monkeypatch.setattr(preemption, "SECONDS_OF_ONE", -1.0)
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            patch.setattr(os, "kill", kill)
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


STAGE = """
import os, signal, sys, types
from pathlib import Path

import numpy as np

from pipeline import __main__ as command
from pipeline.artifact import create, write_json
from pipeline.schemas import ArraySpec, Schema

THINGS = Schema("things", 1, "stage", {"x": ArraySpec("f4", ("row", "column"))})

def run(*, out: Path, stop_after: int) -> None:
    "A stage that is told to stop."
    with create(out, THINGS, ids=list("abcde"), stage="build_vocabulary", settings={}, inputs={}) as writer:
        for number, video_id in enumerate(writer.remaining, start=len(writer.done)):
            if number == stop_after:
                os.kill(os.getpid(), signal.SIGTERM)  # while a video is being worked on
            writer.append(video_id, x=np.full((2, 3), 0.5 * number))

def run_json(*, out: Path, stop_after: int) -> None:
    "A stage that makes a JSON file."
    if stop_after:
        os.kill(os.getpid(), signal.SIGTERM)
    write_json(out, {})

chosen = {"zarr": run, "json": run_json}[sys.argv[1]]
sys.modules["pipeline.stages.build_vocabulary"] = types.SimpleNamespace(run=chosen)
sys.exit(command.main(["build_vocabulary", *sys.argv[2:]]))
"""


def call(kind: str, out: Path, stop_after: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", STAGE, kind, "--out", str(out), "--stop-after", str(stop_after)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, check=False, env=environment, capture_output=True, text=True)


def test_a_stage_commits_its_video_and_says_how_far_it_got(tmp_path: Path):
    out = tmp_path / "a.zarr" / "zarr.json"
    done = call("zarr", out, 2)
    assert (done.returncode, EXIT_CODE) == (143, 143)
    assert done.stderr == "build_vocabulary: stopped by SIGTERM after 3 of 5 videos; the next call goes on from there\n"
    assert not out.exists()
    done = call("zarr", out, 9)
    assert done.returncode == 0
    assert done.stderr == "continuing after 3 of 5 videos\n"
    # After the last video the store is finished.
    assert call("zarr", tmp_path / "whole.zarr" / "zarr.json", 4).returncode == 0
    assert out.read_bytes() == (tmp_path / "whole.zarr" / "zarr.json").read_bytes()


def test_a_stage_with_nothing_to_save_ends_at_once(tmp_path: Path):
    done = call("json", tmp_path / "a.json", 1)
    assert done.returncode == 143
    assert done.stderr.startswith("build_vocabulary: stopped by SIGTERM: nothing was in hand")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


TOLD_WHILE_PYTHON_ENDS = """
import atexit, os, runpy, signal, sys

atexit.register(os.kill, os.getpid(), signal.SIGTERM)
sys.argv[0] = "pipeline"
runpy.run_module("pipeline", run_name="__main__")
"""


def test_a_job_that_is_done_has_not_failed(tmp_path: Path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"video")
    flags = ["--shard", "0", "--shards", "1", "--kind", "folder", "--made", "--source", "videos", "--mapping"]
    command = [sys.executable, "-c", TOLD_WHILE_PYTHON_ENDS, "index_videos", "--out", "videos.json", *flags]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=False, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "videos.json").exists()


def test_it_is_no_part_of_what_computes_values():
    from pipeline.workflow.code_digest import NOT_VALUES

    assert preemption.__name__.split(".")[1] in NOT_VALUES
