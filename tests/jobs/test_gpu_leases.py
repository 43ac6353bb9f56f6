"""Leases in real processes: no two jobs on a device, free when a job ends, first come first served."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toys.gpu_jobs import Job, most_at_once

from pipeline.errors import PipelineError
from pipeline.jobs import gpu_leases

# Its child has all the files that it has, and lives on after it.
WITH_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
fork = __import__("os").fork()
if fork == 0:
    __import__("time").sleep(60)
    sys.exit()
print(__import__("json").dumps({"devices": [], "children": [child.pid, fork]}), flush=True)
__import__("time").sleep(60)
"""


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.mark.slow
@pytest.mark.parametrize(("num_jobs", "num_devices"), [(2, 1), (4, 2), (8, 3)])
def test_jobs_never_share_a_device(num_jobs, num_devices):
    """Of random needs and lengths; one in four is killed at some time."""
    chance = random.Random(100 * num_jobs + num_devices)
    devices = ",".join(map(str, range(num_devices)))
    jobs = [Job(chance.randint(1, num_devices), chance.uniform(0, 0.4), devices) for _ in range(num_jobs)]
    for job in chance.sample(jobs, num_jobs // 4):
        time.sleep(chance.uniform(0, 0.3))
        job.kill()
    had = [found for job in jobs if "devices" in (found := job.finish())]
    assert len(had) >= num_jobs - num_jobs // 4
    for device in devices.split(","):
        assert most_at_once([found for found in had if device in found["devices"]]) <= 1


@pytest.mark.slow
def test_jobs_share_a_device_when_told_to():
    jobs = [Job(1, 0.8, "0,1", CLIPGRAPH_JOBS_PER_GPU="2") for _ in range(6)]
    had = [job.finish() for job in jobs]
    busy = {device: [found for found in had if found["devices"] == [device]] for device in "01"}
    assert [most_at_once(busy[device]) for device in "01"] == [2, 2]


@pytest.mark.slow
def test_who_was_not_told_to_share_does_not():
    sharing = Job(1, 1.5, "0", CLIPGRAPH_JOBS_PER_GPU="2")
    sharing.begun()
    alone, third = Job(1, 0.3, "0"), Job(1, 0.3, "0", CLIPGRAPH_JOBS_PER_GPU="3")
    had = [alone.finish(), sharing.finish(), third.finish()]
    assert had[0]["start"] >= had[1]["end"]
    assert had[2]["end"] <= had[0]["start"] or had[2]["start"] >= had[0]["end"]


def test_a_job_of_two_has_two_devices_where_they_are_shared():
    job = Job(2, 0, "0,1", CLIPGRAPH_JOBS_PER_GPU="4")
    assert job.begun()["devices"] == ["0", "1"]
    job.finish()


def test_children_that_outlive_a_job_do_not_keep_its_device():
    job = Job(1, 0, "7", work=WITH_CHILD)
    children = job.begun()["children"]
    try:
        job.kill()
        killed = time.monotonic()
        second = Job(1, 0, "7")
        assert second.begun()["start"] - killed < 5  # the start of Python, on a busy machine; the children stay 60 s
        for child in children:
            os.kill(child, 0)  # they are still there
        second.finish()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        job.process.communicate()


def test_a_killed_tree_leaves_the_device_free():
    job = Job(1, 0, "7", work=WITH_CHILD)
    job.begun()
    os.killpg(job.process.pid, signal.SIGKILL)
    job.process.communicate()
    second = Job(1, 0, "7")
    assert second.begun()["devices"] == ["7"]
    second.finish()


@pytest.mark.slow
def test_a_job_of_two_is_not_passed_by_jobs_of_one():
    first = [Job(1, 1.0), Job(1, 1.5)]
    for job in first:
        job.begun()
    double = Job(2, 0.1)
    double.wait_in_queue()
    stream = [Job(1, 0.1) for _ in range(4)]
    elsewhere = Job(1, 0, "5")
    apart = elsewhere.begun()["start"]
    elsewhere.finish()
    start = double.finish()["start"]
    assert start > apart, "a job on another device waited, too"
    assert all(job.finish()["start"] > start for job in stream)
    for job in first:
        job.finish()


def test_a_waiting_job_that_is_killed_holds_nobody_up():
    holder = Job(1, 1.0)
    holder.begun()
    double = Job(2, 0)
    double.wait_in_queue()
    double.kill()
    double.process.communicate()
    single = Job(1, 0)
    assert single.begun()["start"] < holder.finish()["end"]
    single.finish()
    assert not list(gpu_leases.lease_folder().glob("*.ticket"))


def test_a_waiting_job_that_is_stopped_holds_the_others_up_for_a_while_only(monkeypatch):
    monkeypatch.setattr(gpu_leases, "PATIENCE", 0.5)
    holder = Job(1, 2.0)
    held = holder.begun()["devices"]
    double = Job(2, 0)
    double.wait_in_queue()
    double.process.send_signal(signal.SIGSTOP)
    [(name, file)] = gpu_leases.lease(1, {"0": "0", "1": "1"})
    assert [name] != held
    os.close(file)
    double.process.send_signal(signal.SIGCONT)
    assert double.finish()["devices"] == ["0", "1"]
    holder.finish()


def make_link(folder):
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


def make_open(folder):
    folder.mkdir()
    folder.chmod(0o777)


@pytest.mark.parametrize("make", [make_link, make_open, lambda folder: folder.write_text("")])
def test_a_folder_that_others_could_have_made_is_refused(tmp_path, make):
    make(tmp_path / f"clipgraph-gpus-{os.getuid()}")
    out, err = Job(1, 0).process.communicate()
    assert out == ""
    assert err.startswith("error: ")
    assert "nobody else can write, for GPU leases: remove it, or set TMPDIR" in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("elsewhere/*"))


def test_a_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    (tmp_path / f"clipgraph-gpus-{other}").mkdir(mode=0o700)
    with pytest.raises(PipelineError, match=f"expected a folder of user {other}"):
        gpu_leases.lease_folder()


def test_no_place_for_locks_is_said_in_a_line(tmp_path):
    (tmp_path / f"clipgraph-gpus-{os.getuid()}" / "ledger").mkdir(parents=True, mode=0o700)
    (tmp_path / f"clipgraph-gpus-{os.getuid()}").chmod(0o700)
    _, err = Job(1, 0).process.communicate()
    assert "GPU leases cannot be kept there" in err
    assert err.count("\n") == 1


def test_the_folder_is_its_owners_alone():
    folder = gpu_leases.lease_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert gpu_leases.lease_folder() == folder


LAUNCHER = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), end="", flush=True)
child.wait()
"""
RANK = (
    "from pipeline.jobs import gpus; gpus.end_with_launcher(); print('ready', flush=True); import time; time.sleep(60)"
)


def test_processes_of_torchrun_end_with_it():
    """Its lease is free when it is killed: no process of its own may then be at work on the device."""
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, RANK], stdout=subprocess.PIPE, text=True)
    rank, said = launcher.stdout.readline().split()
    assert said == "ready"
    launcher.kill()
    launcher.communicate()
    deadline = time.monotonic() + 10
    while is_running(rank):
        assert time.monotonic() < deadline, "it outlives its launcher"
        time.sleep(0.05)


def is_running(pid):
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
