"""What becomes of videos whose decoder crashes or hangs, and of workers whose parent ends."""

import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.worker_messages import receive, send
from pipeline.jobs.workers import decode_ahead

pytestmark = pytest.mark.slow


def act(request):
    """What a worker does in these tests; this file is imported there."""
    word, _, argument = request.partition(" ")
    if word == "bad":
        raise VideoError("bad file")
    if word == "trouble":
        raise PipelineError("no disk")
    if word == "signal":
        os.kill(os.getpid(), int(argument))
    if word == "killed-once" and not Path(argument).exists():
        Path(argument).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "killed-once":
        return "the second time"
    if word == "exit":
        os._exit(int(argument))
    if word == "hang":
        time.sleep(1000)
    if word == "deaf":
        return {int(n) for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is signal.SIG_IGN}
    if word == "loaded":
        return sorted({"torch", "zarr", "pydantic", "pipeline.artifact.reading"} & set(sys.modules))
    if word == "array":
        return np.full((int(argument), 448, 800, 3), 7, np.uint8)
    return int(word)


def outcomes(requests, num_workers=1, time_limit=60.0):
    with decode_ahead(act, requests, num_workers, time_limit) as decoded:
        return [str(found) if isinstance(found, VideoError) else found for found in decoded]


def children():
    """The living children of this process, but for the server that other tests fork their stages from."""
    found = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in found if not any("multiprocessing." in word for word in child.cmdline())]


def test_a_decoder_that_crashes_or_hangs_costs_that_video_alone():
    requests = ["0", "bad", "2", f"signal {int(signal.SIGSEGV)}", "4", "hang", "6", "exit 3", "8", "bad", "10"]
    expected = [0, "bad file", 2, "the decoder crashed on it (SIGSEGV)", 4]
    expected += ["decoding took longer than 1 s (time_limit)", 6, "the decoder crashed on it (exit code 3)", 8]
    expected += ["bad file", 10]
    for num_workers in (1, 3):
        assert outcomes(requests, num_workers, time_limit=1.0) == expected
    assert children() == []


def test_a_worker_that_was_killed_gets_its_video_again(tmp_path):
    assert outcomes([f"killed-once {tmp_path / 'seen'}", f"signal {int(signal.SIGKILL)}", "5"]) == [
        "the second time",
        "the decoder crashed on it (SIGKILL)",
        5,
    ]


def test_what_any_video_would_meet_is_raised_in_a_line():
    with pytest.raises(PipelineError, match=r"^no disk$"):
        outcomes(["1", "trouble", "2"])


def test_bugs_are_raised_with_the_workers_traceback():
    with pytest.raises(RuntimeError, match=r"(?s)in a decoding worker:.*test_workers\.py.*invalid literal"):
        outcomes(["1", "no-number", "3"])
    assert children() == []


def test_workers_import_little_and_leave_signals_to_the_parent():
    assert outcomes(["loaded", "deaf"]) == [[], {int(signal.SIGINT), int(signal.SIGTERM)}]


def test_only_as_many_workers_as_videos():
    with decode_ahead(act, ["1"], 4, 60.0) as decoded:
        assert next(decoded) == 1
        assert len(children()) == 1
    with decode_ahead(act, [], 4, 60.0) as decoded:
        assert list(decoded) == []
        assert children() == []


def test_videos_are_not_decoded_far_ahead(tmp_path):
    taken = []

    def requests():
        for number in range(20):
            taken.append(number)
            yield str(number)

    with decode_ahead(act, requests(), 2, 60.0) as decoded:
        assert next(decoded) == 0
        assert len(taken) == 4  # two workers, one waiting, and the one that took the place of what was read
        assert list(decoded) == list(range(1, 20))


def test_arrays_come_back_whole_and_can_be_written_to():
    small, large = outcomes(["array 1", "array 20"])
    assert small.shape == (1, 448, 800, 3)
    assert large.shape == (20, 448, 800, 3)
    assert (large == 7).all()
    assert large.flags.writeable


def test_leaving_early_ends_a_worker_that_hangs():
    start = time.monotonic()
    with decode_ahead(act, ["1", "hang", "hang"], 2, 600.0) as decoded:
        assert next(decoded) == 1
    assert time.monotonic() - start < 30
    assert children() == []


PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from test_workers import act
from pipeline.jobs.workers import decode_ahead
with decode_ahead(act, ["1", "hang", "hang"], 2, 600.0) as decoded:
    print(next(decoded), flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(number):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(Path(__file__).parent)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with parent:
        assert parent.stdout.readline() == b"1\n"
        workers = psutil.Process(parent.pid).children()
        assert len(workers) == 2
        for worker in workers:
            worker.send_signal(signal.SIGTERM)  # as a scheduler does, to all of a job's processes
        time.sleep(0.2)
        assert all(worker.is_running() for worker in workers)
        parent.send_signal(number)
        gone, alive = psutil.wait_procs(workers, timeout=20)
        parent.kill()
        assert (len(gone), alive) == (2, [])


def test_a_worker_that_cannot_start_is_no_bad_video(monkeypatch):
    monkeypatch.setattr("pipeline.jobs.workers.BOOT", "raise SystemExit(4)")
    with pytest.raises(RuntimeError, match=re.escape("ended while it started (exit code 4)")):
        outcomes(["1"])


class Runs:
    """A pickle that would make its reader call something."""

    def __reduce__(self):
        return os.mkdir, ("made by a message",)


def test_a_message_makes_its_reader_call_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here, there = socket.socketpair()
    with here, there:
        send(here, {"found": Runs()})
        with pytest.raises(pickle.UnpicklingError, match=r"names posix\.mkdir"):
            receive(there)
    assert list(tmp_path.iterdir()) == []
