"""Processes take turns with the step, and the busy one ends with the benchmark."""

import subprocess
import sys

import pytest

from benchmarks import beside_other_work
from benchmarks.beside_other_work import environments


def test_environments_differ_in_how_threads_wait(monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    told = [{k: v for k, v in of.items() if k in beside_other_work.VARIABLES} for of in environments()]
    assert told == [{"GOMP_SPINCOUNT": "1000"}, {}, {"OMP_WAIT_POLICY": "PASSIVE"}]


QUICK = "import sys\nprint('ready', flush=True)\nfor line in sys.stdin: print(40.0, flush=True)"


@pytest.fixture
def started(monkeypatch):
    """The processes that the benchmark starts."""
    found = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: found.append(popen(*a, **k)) or found[-1])
    return found


def test_rows(monkeypatch, started):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}

    def start_quick_server(environment):
        server = subprocess.Popen([sys.executable, "-c", QUICK], env=environment, **pipes)
        server.stdout.readline()
        return server

    monkeypatch.setattr(beside_other_work, "start_server", start_quick_server)
    found = beside_other_work.rows(1)
    assert len(started) == 4
    assert all(process.returncode is not None for process in started)
    alone, _, beside, *_ = found
    assert (alone.now, alone.ratio) == ("40 ms", 1.0)
    assert (beside.goal, beside.at_most, beside.peer) == (2, True, "alone: 40 ms")


@pytest.mark.slow
def test_a_server_does_steps_when_asked(monkeypatch):
    monkeypatch.setattr(beside_other_work, "STEPS", 1)
    with beside_other_work.start_server(environments()[0]) as server:
        assert beside_other_work.ask(server) > 0
        server.stdin.close()
        assert server.wait(60) == 0
