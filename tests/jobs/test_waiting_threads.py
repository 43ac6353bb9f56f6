"""Threads of a job wait shortly, unless the user says otherwise."""

import json
import os
import subprocess
import sys

import pytest

from pipeline.jobs.waiting_threads import wait_shortly


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": "1000"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
    ],
)
def test_the_user_has_the_last_word(told, expected):
    environment = dict(told)
    wait_shortly(environment)
    assert environment == expected


def test_a_job_says_so_before_openmp_is_loaded(tmp_path):
    """OpenMP itself prints what it has read, once PyTorch loads it; the stage then ends, as its weights are missing."""
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    settings = {"kind": "i3d", "weights": str(tmp_path / "missing.pt"), "seed": 1, "size": 48, "precision": "fp32"}
    settings |= {"calibrate_on": None, "calibration_clips": 1}
    command = [sys.executable, "-m", "pipeline", "import_weights", "--out", str(tmp_path / "out.safetensors")]
    command += ["--settings", json.dumps(settings), "--videos", "--captions"]
    done = subprocess.run(command, env={**environment, "OMP_DISPLAY_ENV": "VERBOSE"}, capture_output=True, text=True)
    assert done.returncode == 2
    assert "missing.pt" in done.stderr
    assert "GOMP_SPINCOUNT = '1000'" in done.stderr
