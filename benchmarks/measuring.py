"""What all benchmarks share: ways that take turns, what this machine can do, and the rows of the table.

A benchmark is a module with a function `rows(rounds)`, and `main` makes a program of it. `python -m benchmarks` runs
each of them in a process of its own, so that none finds the memory or the threads that another one left.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        stage: What was measured.
        now: What it takes now, with its unit.
        peer: What it is compared with: a limit of the machine, or another way of doing the same work, with its figure.
        ratio: Times as fast as the peer, share of the limit, or a figure itself; `unit` says which.
        goal: The `ratio` wanted; None for a figure without one.
        unit: Unit of `ratio` and `goal`: "x", "%" (of the limit; 0.5 is 50 %), or any other, such as "ms".
        at_most: Whether the goal is an upper bound.
    """

    stage: str
    now: str
    peer: str
    ratio: float
    goal: float | None = None
    unit: str = "x"
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached; a figure without a goal always is."""
        if self.goal is None:
            return True
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal


class Times(NamedTuple):
    """Medians of a way's turns, in milliseconds: of the clock, and of the processor over all threads."""

    wall: float
    cpu: float


def take_turns(ways: Sequence[Callable[[], Any]], rounds: int) -> list[Times]:
    """Do each way once to warm up, then `rounds` times in turn, so that other work on the machine slows all alike."""
    wall: list[list[float]] = [[] for _ in ways]
    cpu: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds + 1):
        for number, way in enumerate(ways):
            start, cpu_start = time.perf_counter(), time.process_time()
            way()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                cpu[number].append(1000 * (time.process_time() - cpu_start))
                wall[number].append(1000 * (time.perf_counter() - start))
    return [Times(statistics.median(w), statistics.median(c)) for w, c in zip(wall, cpu, strict=True)]


def matmul_rate(dtype: torch.dtype) -> float:
    """GFLOP/s of the fastest of eight products of two 1,024 x 1,024 matrices, on PyTorch's threads."""
    matrix, seconds = torch.ones(1024, 1024, dtype=dtype), []
    for _ in range(8):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return 2 * 1024**3 / min(seconds) / 1e9


def machine() -> dict[str, Any]:
    """The CPU, its capability as PyTorch tells it, the cores, the threads, and the rates of matrix products."""
    return {
        "cpu": cpu_name(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gflops": {str(t).removeprefix("torch."): matmul_rate(t) for t in (torch.float32, torch.bfloat16)},
    }


def cpu_name() -> str:
    """The model of the CPU, if the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown CPU"
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown CPU")


def describe(of: dict[str, Any]) -> str:
    """The machine in a line."""
    rates = ", ".join(f"{name} {rate:.1f}" for name, rate in of["gflops"].items())
    return f"{of['cpu']}, {of['capability']}, {of['cores']} cores, {of['threads']} threads; GFLOP/s: {rates}"


def table(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown."""
    lines = ["| stage | now | peer or limit | ratio | goal |", "|---|---|---|---|---|"]
    for row in rows:
        goal = "" if row.goal is None else f"{'≤' if row.at_most else '≥'} {_figure(row.goal, row.unit)}"
        missed = "" if row.is_met else ", missed"
        lines.append(f"| {row.stage} | {row.now} | {row.peer} | {_figure(row.ratio, row.unit)} | {goal}{missed} |")
    return "\n".join(lines)


def _figure(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:.0%}".replace("%", " %")
    return f"{value:.3g} {unit}".rstrip()


def main(name: str, docstring: str, rows: Callable[[int], list[Row]], arguments: Sequence[str] | None = None) -> int:
    """The program of one benchmark: print its rows, and write them as JSON if told to.

    Args:
        name: Name of the benchmark's module in `benchmarks`.
        docstring: The module's docstring; its first line is the program's description.
        rows: Measures with the given number of rounds.
        arguments: Flags; those of the command line if None.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=docstring.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="threads of PyTorch (default: PyTorch's own choice)")
    parser.add_argument("--json", type=Path, help="file for the same figures")
    chosen = parser.parse_args(arguments)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    found = rows(chosen.rounds)
    print(table(found), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps([row._asdict() for row in found], indent=1) + "\n")
    return 0
