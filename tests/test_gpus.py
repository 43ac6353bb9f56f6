import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline import gpus
from pipeline.errors import PipelineError

SHOW = "import os, sys, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(float(sys.argv[1]))"


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def start(num, seconds, devices="0,1"):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": devices}
    command = [sys.executable, "-m", "pipeline.gpus", str(num), sys.executable, "-c", SHOW, str(seconds)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def first_line(job):
    return job.stdout.readline().strip()


def finish(*jobs):
    for job in jobs:
        job.communicate()


def test_two_jobs_get_two_devices_and_a_third_waits(tmp_path):
    one, two = start(1, 2), start(1, 2)
    shown = {first_line(one), first_line(two)}
    assert shown == {"0", "1"}
    begun = time.monotonic()
    third = start(1, 0)
    assert first_line(third) in shown
    assert time.monotonic() - begun > 0.3
    finish(one, two, third)


def test_a_killed_jobs_device_is_free_at_once():
    one = start(1, 60, devices="7")
    assert first_line(one) == "7"
    one.send_signal(signal.SIGKILL)
    one.wait()
    two = start(1, 0, devices="7")
    assert first_line(two) == "7"
    finish(one, two)


def test_a_job_of_two_gets_both():
    job = start(2, 0, devices="3,5")
    assert first_line(job) == "3,5"
    finish(job)


def test_more_than_there_are_is_an_error_before_work_starts():
    job = start(3, 0)
    out, err = job.communicate()
    assert (job.returncode, out) == (2, "")
    assert "3 GPUs were asked for, but this machine shows 2 (0, 1)" in err
    assert "Traceback" not in err


def test_without_any_gpu_the_job_runs_on_the_cpu_with_one_warning():
    job = start(1, 0, devices="")
    out, err = job.communicate()
    assert (job.returncode, out) == (0, "\n")
    assert err.count("no GPU here: this job runs on the CPU") == 1


def test_a_job_that_asks_for_none_sees_none():
    job = start(0, 0)
    out, err = job.communicate()
    assert (out, err) == ("\n", "")


def test_the_schedulers_choice_is_obeyed(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 6")
    assert gpus.visible_devices() == ["4", "6"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gpus.visible_devices() == []


def test_usage_is_explained():
    with pytest.raises(PipelineError, match="usage"):
        gpus.main(["one", "echo"])
