"""Measure the captioner's training step alone, and beside a process that keeps one core busy.

Run: `python -m benchmarks.beside_other_work`. Three processes take turns with the step of `benchmarks.training_step`:
one whose threads wait as those of a job do (`pipeline.jobs.waiting_threads`), one with PyTorch's own default, and one
with the default's opposite, threads that never spin. They train on as many threads as there are cores.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.measuring import Row, main
from pipeline.jobs.waiting_threads import wait_shortly

STEPS = 3  # in a turn
BUSY = "while True: pass"
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def environments() -> list[dict[str, str]]:
    """The environments of a job, of PyTorch's default, and of threads that never spin."""
    plain = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    job = dict(plain)
    wait_shortly(job)
    return [job, plain, {**plain, "OMP_WAIT_POLICY": "PASSIVE"}]


def serve() -> int:
    """Read numbers of steps from stdin, do so many, and print the milliseconds a step."""
    import torch

    from benchmarks.training_step import own_step

    step = own_step(torch.float32)
    step()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(1000 * (time.perf_counter() - start) / int(line), flush=True)
    return 0


def start_server(environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start a process that does steps when asked, and wait until it is ready."""
    command = [sys.executable, "-m", "benchmarks.beside_other_work", "--serve"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    _answer(server)
    return server


def ask(server: subprocess.Popen[str]) -> float:
    """Milliseconds a step of `STEPS` steps."""
    assert server.stdin is not None
    server.stdin.write(f"{STEPS}\n")
    server.stdin.flush()
    return float(_answer(server))


def _answer(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line:
        sys.exit(f"a process that does steps has ended with exit code {server.wait()}")
    return line


def turns(servers: Sequence[subprocess.Popen[str]], rounds: int) -> list[float]:
    """Medians of the milliseconds a step of each server; they take turns."""
    found = [[ask(server) for server in servers] for _ in range(rounds)]
    return [statistics.median(of_server) for of_server in zip(*found, strict=True)]


def rows(rounds: int) -> list[Row]:
    """Measure alone and beside one busy process."""
    servers = [start_server(environment) for environment in environments()]
    alone = turns(servers, rounds)
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        beside = turns(servers, rounds)
    finally:
        for process in (busy, *servers):
            process.kill()
            process.communicate()  # waits, and closes the pipes
    names = ("jobs", "threads that spin", "threads that never spin")
    step = "captioner training step"
    return [
        Row(f"{step}, alone", f"{alone[0]:.0f} ms", f"{names[1]}: {alone[1]:.0f} ms", alone[1] / alone[0]),
        Row(f"{step}, alone", f"{alone[0]:.0f} ms", f"{names[2]}: {alone[2]:.0f} ms", alone[2] / alone[0]),
        Row(
            f"{step}, one core busy",
            f"{beside[0]:.0f} ms",
            f"alone: {alone[0]:.0f} ms",
            beside[0] / alone[0],
            2,
            at_most=True,
        ),
        Row(f"{step}, one core busy", f"{beside[0]:.0f} ms", f"{names[1]}: {beside[1]:.0f} ms", beside[1] / beside[0]),
        Row(f"{step}, one core busy", f"{beside[0]:.0f} ms", f"{names[2]}: {beside[2]:.0f} ms", beside[2] / beside[0]),
    ]


if __name__ == "__main__":
    raise SystemExit(serve() if "--serve" in sys.argv else main("beside_other_work", __doc__, rows))
