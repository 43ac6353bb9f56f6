"""Find out whether Snakemake is at work on a project, by its lock, without taking it."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOCKS = Path(".snakemake/locks")
PROCESSES = Path("/proc")  # of Linux; where there is none, nothing is known of processes


@dataclass(frozen=True)
class Call:
    """A call of Snakemake that has the lock of a project.

    Attributes:
        begun: When it took the lock, in seconds since the epoch.
        is_here: Whether a process of this machine is it; None where processes cannot be listed.
    """

    begun: float
    is_here: bool | None

    def words(self) -> str:
        """What is known of it, in a line."""
        if self.is_here is False:
            return (
                "Snakemake's lock is here, but no process of this machine has it: Snakemake works on another machine, "
                "or was killed (then: snakemake --unlock)."
            )
        return "Snakemake is at work here."


def call_at_work(project: Path) -> Call | None:
    """The call of Snakemake that has the lock of a project; None if none has.

    Args:
        project: The folder that Snakemake was called in.
    """
    with suppress(FileNotFoundError):
        times = [lock.stat().st_mtime for lock in (project / LOCKS).iterdir()]
        if times:
            return Call(min(times), _has_process(project))
    return None


def _has_process(project: Path) -> bool | None:
    if not PROCESSES.is_dir():
        return None
    folder = project.resolve()
    for process in PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            is_snakemake = b"snakemake" in (process / "cmdline").read_bytes() and process.name != str(os.getpid())
            if is_snakemake and (process / "cwd").resolve() == folder:
                return True
    return False
