"""Processes take turns with the step, and the busy one ends with the benchmark."""

import subprocess

import pytest

from benchmarks import beside_other_work
from benchmarks.beside_other_work import environments


def test_environments_differ_in_how_threads_wait(monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    told = [{k: v for k, v in of.items() if k in beside_other_work.VARIABLES} for of in environments()]
    assert told == [{"GOMP_SPINCOUNT": "1000"}, {}, {"OMP_WAIT_POLICY": "PASSIVE"}]


@pytest.mark.slow
def test_rows(monkeypatch):
    monkeypatch.setattr(beside_other_work, "STEPS", 1)
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    found = beside_other_work.rows(1)
    assert len(started) == 4
    assert all(process.returncode is not None for process in started)
    alone, _, beside, *_ = found
    assert (beside.goal, beside.at_most) == (2, True)
    assert beside.peer == f"alone: {alone.now}"
