"""Leases of GPUs: which jobs of one user, on one machine, have which device.

A lease is a lock on a part of a device's lock file: all of it, or an Nth where N jobs may share a device. It is a POSIX
record lock, because such a lock belongs to one process: it stays through `exec`, ends with the process however that
ends, and no child that outlives the process can keep it. (A lock by `flock` belongs to the open file, which children
inherit.) Jobs that wait stand in a queue, so that one that needs two devices is not passed for ever by jobs that need
one. A process holds the lock on the file `ledger` while it reads or changes the queue and the leases.
"""

import fcntl
import json
import logging
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import PipelineError

log = logging.getLogger(__name__)

SECONDS_BETWEEN_TRIES = 0.2
PATIENCE = 10.0  # seconds; a job that is stopped (Ctrl-Z) while it waits holds up the others no longer than that
WHOLE = 2**20  # bytes of a device's file that locks divide among themselves; the file itself is empty
TICKET = re.compile(r"\d{9}\.ticket")


def lease_folder() -> Path:
    """Make the folder of this user's locks: in the temporary files of this machine, because machines share results.

    Raises:
        PipelineError: if it cannot be made, or another user owns it or can write to it.
    """
    folder = Path(tempfile.gettempdir()) / f"clipgraph-gpus-{os.getuid()}"
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise PipelineError(f"{folder}: GPU leases cannot be kept there ({error}): set TMPDIR") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PipelineError(
            f"{folder}: expected a folder of user {os.getuid()} that nobody else can write, for GPU leases: "
            "remove it, or set TMPDIR to another place"
        )
    return folder


def lease(num: int, devices: Mapping[str, str], jobs_per_gpu: int = 1) -> list[tuple[str, int]]:
    """Wait until `num` of `devices` are free, and lock them; who came first is served first.

    Args:
        num: Number of devices to lease, at least 1.
        devices: Names, as CUDA_VISIBLE_DEVICES spells them, each with what tells it from every other device of this
            machine (its UUID, or its name if that is unknown).
        jobs_per_gpu: Number of jobs that may share a device; each of them must say the same.

    Returns:
        For each device its name and the file descriptor of its lock, which holds until the process ends or closes it.

    Raises:
        PipelineError: if there are fewer devices than asked for, or no place for locks.
    """
    if num > len(devices):
        raise PipelineError(
            f"{num} GPUs were asked for, but this machine shows {len(devices)} ({', '.join(devices)}): "
            "lower `--resources gpu=` or set CUDA_VISIBLE_DEVICES"
        )
    folder = lease_folder()
    try:
        return _wait_for(folder, num, devices, jobs_per_gpu)
    except OSError as error:  # full, read-only, removed
        raise PipelineError(f"{folder}: GPU leases cannot be kept there ({error}): set TMPDIR") from error


def _wait_for(folder: Path, num: int, devices: Mapping[str, str], jobs_per_gpu: int) -> list[tuple[str, int]]:
    with _ledger(folder):
        ticket, place = _draw_ticket(folder, devices)
    waiting = False
    while True:
        with _ledger(folder):
            awaited = _awaited_by_others(folder, ticket)
            free = {name: identity for name, identity in devices.items() if identity not in awaited}
            held = _take(folder, num, free, jobs_per_gpu)
            if held:
                ticket.unlink()
                os.close(place)
                return held
            os.utime(ticket, (time.monotonic(), time.monotonic()))  # all processes share this clock; nobody can set it
        if not waiting:
            log.info("waiting for %d free GPUs of %s", num, ", ".join(devices))
            waiting = True
        time.sleep(SECONDS_BETWEEN_TRIES)


def _take(folder: Path, num: int, devices: Mapping[str, str], jobs_per_gpu: int) -> list[tuple[str, int]]:
    """Lock `num` devices, first those without a job; an empty list, and no lock, if too few are free."""
    held: dict[str, int] = {}
    for share in range(jobs_per_gpu):
        start, end = (WHOLE * bound // jobs_per_gpu for bound in (share, share + 1))
        for name, identity in devices.items():
            if len(held) < num and name not in held:
                file = _open(folder / f"{re.sub(r'[^0-9A-Za-z-]', '_', identity)}.lock")
                os.utime(file)  # a file that is tidied away while it is locked would be locked twice
                if _lock(file, end - start, start):
                    held[name] = file
                else:
                    os.close(file)
    if len(held) == num:
        return list(held.items())
    for file in held.values():  # no lock is kept while a job waits, because two jobs could wait for one another
        os.close(file)
    return []


def _draw_ticket(folder: Path, devices: Mapping[str, str]) -> tuple[Path, int]:
    """Join the end of the queue: the file of the ticket, and the descriptor by which this process locks it."""
    last = max((int(ticket.stem) for ticket in _tickets(folder)), default=0)
    ticket = folder / f"{last + 1:09d}.ticket"
    place = _open(ticket)
    _lock(place)
    os.write(place, json.dumps(list(devices.values())).encode())
    os.utime(ticket, (time.monotonic(), time.monotonic()))
    return ticket, place


def _awaited_by_others(folder: Path, own: Path) -> set[str]:
    """Devices, by UUID, that jobs further up the queue wait for; tickets of jobs that have ended are removed."""
    awaited: set[str] = set()
    for ticket in _tickets(folder):
        if ticket.name >= own.name:
            break
        file = _open(ticket)
        try:
            if _lock(file):
                ticket.unlink()
            elif time.monotonic() - os.fstat(file).st_mtime < PATIENCE:
                awaited |= set(json.loads(os.read(file, WHOLE)))
        finally:
            os.close(file)
    return awaited


def _tickets(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if TICKET.fullmatch(path.name))


@contextmanager
def _ledger(folder: Path) -> Iterator[None]:
    file = _open(folder / "ledger")
    os.utime(file)  # programs that tidy up temporary files leave a young file alone
    try:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _lock(file: int, length: int = 0, start: int = 0) -> bool:
    """Try to lock a part of a file, to its end if `length` is 0; False if another process has a lock on it."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
    except BlockingIOError:
        return False
    return True
