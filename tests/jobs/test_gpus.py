import os
import subprocess
import sys
import time

import pytest
from toys.gpu_jobs import Job, write_nvidia_smi

from pipeline.errors import PipelineError
from pipeline.jobs import gpus

SHOW = "import os, sys, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(float(sys.argv[1]))"


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def start(num, seconds, devices="0,1"):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": devices}
    command = [sys.executable, "-m", "pipeline.jobs.gpus", str(num), sys.executable, "-c", SHOW, str(seconds)]
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


def test_without_any_gpu_the_job_runs_on_the_cpu_and_says_so():
    job = start(1, 0, devices="")
    out, err = job.communicate()
    assert (job.returncode, out) == (0, "\n")
    assert err.count("no GPU here: this job runs on the CPU") == 1


def test_a_job_that_asks_for_none_sees_none():
    job = start(0, 0)
    out, err = job.communicate()
    assert (out, err) == ("\n", "")


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", write_nvidia_smi(tmp_path / "bin", *TWO))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


TWO = ["GPU 0: A100 (UUID: GPU-aaaa-1111)", "GPU 1: A100 (UUID: GPU-aabb-2222)"]
DIVIDED = [
    TWO[0],
    "  MIG 3g.20gb     Device  0: (UUID: MIG-cccc-3333)",
    "  MIG 3g.20gb     Device  1: (UUID: MIG-GPU-aaaa-1111/5/0)",
    TWO[1],
]


@pytest.mark.parametrize(
    ("chosen", "visible"),
    [
        ("4, 6", ["4", "6"]),
        ("-1", []),
        ("", []),
        ("0,-1,1", ["0"]),  # as CUDA reads it
        ("NoDevFiles", []),  # SLURM's word for none
        ("1,1", ["1"]),
        ("GPU-aaaa-1111,MIG-cccc-3333", ["GPU-aaaa-1111", "MIG-cccc-3333"]),
        ("../../x", []),
        ("0,GPU-" + "a b", ["0"]),
    ],
)
def test_the_choice_of_a_person_or_scheduler_is_obeyed(monkeypatch, chosen, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    monkeypatch.setenv("PATH", "")  # no nvidia-smi here
    assert list(gpus.visible_devices()) == visible


@pytest.mark.parametrize(
    ("chosen", "visible"),
    [
        (None, {"0": "GPU-aaaa-1111", "1": "GPU-aabb-2222"}),
        ("1", {"1": "GPU-aabb-2222"}),
        ("1,7,0", {"1": "GPU-aabb-2222"}),  # there is no 7, and CUDA stops there
        ("GPU-aaa,1", {"GPU-aaa": "GPU-aaaa-1111", "1": "GPU-aabb-2222"}),
        ("0,GPU-aaaa-1111", {"0": "GPU-aaaa-1111"}),
    ],
)
def test_one_device_is_known_by_all_its_names(two_gpus, monkeypatch, chosen, visible):
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert gpus.visible_devices() == visible


def test_a_gpu_that_is_divided_is_leased_in_its_parts(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", write_nvidia_smi(tmp_path / "bin", *DIVIDED))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert list(gpus.visible_devices()) == ["MIG-cccc-3333", "MIG-GPU-aaaa-1111/5/0", "1"]
    jobs = [Job(1, 0.5, None) for _ in range(3)]
    assert {job.begun()["devices"][0] for job in jobs} == set(gpus.visible_devices())
    finish(*(job.process for job in jobs))


def test_two_names_of_one_device_are_not_leased_to_two_jobs(two_gpus):
    by_number, by_uuid = Job(1, 0.4, "0"), Job(1, 0.4, "GPU-aaaa-1111")
    first, second = sorted([by_number.finish(), by_uuid.finish()], key=lambda found: found["start"])
    assert second["start"] >= first["end"]


def test_two_devices_of_one_name_are_leased_at_the_same_time(tmp_path):
    """A scheduler may show every job its own device as number 0."""
    one = Job(1, 1.5, "0", PATH=write_nvidia_smi(tmp_path / "one", TWO[0]))
    two = Job(1, 0, "0", PATH=write_nvidia_smi(tmp_path / "two", TWO[1].replace("GPU 1", "GPU 0")))
    one.begun()
    assert two.finish()["end"] < one.finish()["end"]


def test_a_driver_that_fails_means_the_cpu_and_one_that_hangs_an_error(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", write_nvidia_smi(tmp_path / "failing", "NVIDIA-SMI has failed", code=9))
    assert gpus.visible_devices() == {}
    monkeypatch.setattr(gpus, "SECONDS_TO_LIST", 0.2)
    monkeypatch.setenv("PATH", write_nvidia_smi(tmp_path / "hanging", seconds=3))
    with pytest.raises(PipelineError, match="says nothing"):
        gpus.visible_devices()


@pytest.mark.parametrize(
    ("limit", "asked", "told", "message"),
    [
        (3, {}, None, "--resources gpu=3: this machine shows 2 GPUs: say gpu=2"),
        (5, {}, "2", "--resources gpu=5: this machine shows 2 GPUs, 2 jobs on each: say gpu=4"),
        (2, {"train_captioner": 4}, None, "train_captioner asks for gpu=4, but this machine shows 2"),
        (4, {"train_captioner": 3}, "2", "train_captioner asks for gpu=3, but this machine shows 2"),
        (1, {"train_captioner": 2}, None, "all jobs together may hold 1: say --resources gpu=2"),
        (1, {}, "0", "CLIPGRAPH_JOBS_PER_GPU=0: expected a whole number from 1 to 64"),
        (1, {}, "two", "CLIPGRAPH_JOBS_PER_GPU=two: expected"),
        (1, {}, "9" * 50, "expected a whole number from 1 to 64"),
    ],
)
def test_more_than_the_machine_has_is_an_error(two_gpus, monkeypatch, limit, asked, told, message):
    if told is not None:
        monkeypatch.setenv("CLIPGRAPH_JOBS_PER_GPU", told)
    with pytest.raises(PipelineError) as raised:
        gpus.check_machine(limit, asked)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("limit", "asked", "told"), [(2, {"a": 2}, "1"), (4, {"a": 2}, "2"), (None, {"a": 1}, "1"), (0, {"a": 1}, "1")]
)
def test_what_the_machine_has_is_fine(two_gpus, monkeypatch, limit, asked, told):
    monkeypatch.setenv("CLIPGRAPH_JOBS_PER_GPU", told)
    assert gpus.check_machine(limit, asked) is None


def test_a_machine_without_gpus_runs_anything_on_the_cpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.check_machine(8, {"a": 4}) == "no GPU here: every job runs on the CPU"


@pytest.mark.parametrize("name", ["SLURM_STEP_GPUS", "SLURM_JOB_GPUS"])
def test_a_job_that_got_gpus_by_gres_alone_uses_them(monkeypatch, name):
    """It says gpu=0, because SLURM's plugin takes either; it ran on the CPU without a word."""
    monkeypatch.setenv(name, "0,1")
    job = start(0, 0, devices="3,5")
    assert first_line(job) == "3,5"
    finish(job)
    monkeypatch.setenv(name, "")
    job = start(0, 0, devices="3,5")
    assert first_line(job) == ""
    finish(job)


def test_usage_is_explained():
    with pytest.raises(PipelineError, match="usage"):
        gpus.main(["one", "echo"])
