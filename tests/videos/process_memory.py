"""Peak memory of a command together with every process it starts."""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

SECONDS_BETWEEN_LOOKS = 0.02


@dataclass(frozen=True)
class Peak:
    """What a command took.

    Attributes:
        total: Bytes at the worst moment that was looked at: PSS of all its processes, so that what they share counts
            once; without pages of files, such as PyTorch's libraries, of which each kernel keeps as many as it likes.
        workers: The same without the command's own process.
        highest: For each process by its id, the most that it ever had in memory (VmHWM, kept by the kernel, so that
            nothing between two looks is missed), shared or not.
        output: What it printed, errors included.
        code: How it ended.
    """

    total: int
    workers: int
    highest: dict[int, int]
    output: str
    code: int


def descendants(pid: int) -> list[int]:
    """A process and all that it started, itself first."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue  # it has ended
    return found


def field_of(path: Path, name: str) -> int:
    """A number in bytes from a file of `/proc` that gives kilobytes; 0 of a process that has ended."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def own_memory(path: Path) -> int:
    """Bytes of a process that are no pages of files, its share of what it has together with others."""
    return field_of(path, "Pss_Anon") + field_of(path, "Pss_Shmem")


def measure(command: Sequence[str | Path]) -> Peak:
    """Run a command to its end and look at the memory of its processes all the time."""
    total = workers = 0
    highest: dict[int, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        printed: list[str] = []
        assert process.stdout is not None
        reader = Thread(target=lambda stream: printed.append(stream.read()), args=[process.stdout])
        reader.start()
        while process.poll() is None:
            pss = {pid: own_memory(Path(f"/proc/{pid}/smaps_rollup")) for pid in descendants(process.pid)}
            for pid in pss:
                highest[pid] = max(highest.get(pid, 0), field_of(Path(f"/proc/{pid}/status"), "VmHWM"))
            total = max(total, sum(pss.values()))
            workers = max(workers, sum(pss.values()) - pss[process.pid])
            time.sleep(SECONDS_BETWEEN_LOOKS)
        reader.join()
    return Peak(total, workers, highest, printed[0], process.returncode)
