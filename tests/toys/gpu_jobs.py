"""Real jobs under `python -m pipeline.jobs.gpus`, for tests of leases: what each had, from when to when."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# While it holds its lease it writes down what it has; the first line tells that it has begun.
WORK = """
import json, os, sys, time
start = time.monotonic()
devices = [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
print(json.dumps({"devices": devices, "start": start}), flush=True)
time.sleep(float(sys.argv[1]))
print(json.dumps({"end": time.monotonic()}), flush=True)
"""


class Job:
    """A command with a lease, or waiting for one."""

    def __init__(self, num: int, seconds: float, devices: str | None = "0,1", work: str = WORK, **environment: str):
        self.killed: float | None = None
        told = {} if devices is None else {"CUDA_VISIBLE_DEVICES": devices}
        inherited = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
        command = [sys.executable, "-m", "pipeline.jobs.gpus", str(num), sys.executable, "-c", work, str(seconds)]
        self.process = subprocess.Popen(
            command,
            env=inherited | told | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def begun(self) -> dict[str, Any]:
        """What the job has; waits until it has it."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        return dict(json.loads(line))

    def wait_in_queue(self) -> None:
        """Until the job has said that it waits."""
        assert self.process.stderr is not None
        assert "waiting for" in self.process.stderr.readline()

    def finish(self) -> dict[str, Any]:
        """What the job had, with `start` and `end`; a killed one had it until then, if ever, or until it had ended."""
        lines = self.process.communicate(timeout=60)[0].splitlines()
        told = {key: value for line in lines for key, value in json.loads(line).items()}
        return told if self.killed is None else told | {"end": min(self.killed, told.get("end", self.killed))}

    def kill(self) -> None:
        """SIGKILL to the process alone: its children live on."""
        self.killed = time.monotonic()
        self.process.kill()
        self.process.wait()


def most_at_once(intervals: list[dict[str, Any]]) -> int:
    """How many of the intervals, of those on one device, share a moment at most."""
    moments = sorted([(found["start"], 1) for found in intervals] + [(found["end"], -1) for found in intervals])
    running, most = 0, 0
    for _, step in moments:
        running += step
        most = max(most, running)
    return most


def write_nvidia_smi(folder: Path, *lines: str, seconds: float = 0, code: int = 0) -> str:
    """A stand-in `nvidia-smi` that lists these devices; returns a PATH on which it stands first."""
    folder.mkdir(exist_ok=True)
    script = folder / "nvidia-smi"
    listing = "\n".join(lines)
    script.write_text(f"#!/bin/sh\nsleep {seconds}\ncat <<'END'\n{listing}\nEND\nexit {code}\n", encoding="utf-8")
    script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
