"""Pre-emption: SIGTERM ends a job after what is in hand is saved, and the next call goes on from there.

Schedulers send SIGTERM some seconds before SIGKILL: to a job whose time is up, or whose place another one takes. The
command line heeds it while a stage runs. Whoever has something to save (a store with its videos, a training with its
checkpoints) defers it: the signal is then only noted, and looked for after each commit. Where nothing is being saved,
it ends the stage at once. A second SIGTERM, some seconds later, kills as ever.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

# A scheduler that signals all the processes of a job reaches the ranks of a training twice: the launcher passes it on.
SECONDS_OF_ONE = 3.0
EXIT_CODE = 128 + signal.SIGTERM  # as shells say it; to Snakemake and schedulers a job that failed and may run again


class Preempted(BaseException):
    """SIGTERM came, and what can be saved is. No Exception: whoever goes on after failures must not catch it."""


class _Told:
    """What the handler of the signal and the code it interrupts know of each other."""

    def __init__(self) -> None:
        self.heeded = False
        self.to_stop = False
        self.when = 0.0  # in seconds, monotonic
        self.deferred = 0  # how many have something to save


_told = _Told()


@contextmanager
def heeded() -> Iterator[None]:
    """Inside, the first SIGTERM raises Preempted, at once or where the code asks; for a process's main thread."""
    _told.heeded, _told.to_stop, _told.deferred = True, False, 0
    before = signal.signal(signal.SIGTERM, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _told.heeded = _told.to_stop = False


def heed_again() -> None:
    """Take the place of a handler that a library has put before ours: what is heeded inside `heeded` is ours alone."""
    if _told.heeded:
        signal.signal(signal.SIGTERM, _note)


def ignore() -> None:
    """When the work is done: Python takes a moment to end, and a job that was killed in it would have failed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def deferred() -> Iterator[None]:
    """Inside, SIGTERM is only noted: ask `is_told`, or call `stop_if_told` after each commit."""
    _told.deferred += 1
    try:
        yield
    finally:
        _told.deferred -= 1


def is_told() -> bool:
    """Whether SIGTERM has come."""
    return _told.to_stop


def stop_if_told(saved: str, *, anyway: bool = False) -> None:
    """End the process if SIGTERM has come.

    Args:
        saved: How far it got, as in "after 12 of 40 videos".
        anyway: It has come to another process of the same training.

    Raises:
        Preempted: It has come.
    """
    if _told.to_stop or anyway:
        raise Preempted(f"stopped by SIGTERM {saved}; the next call goes on from there")


def _note(*_: object) -> None:
    if _told.to_stop:
        if time.monotonic() - _told.when > SECONDS_OF_ONE:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        return
    _told.to_stop, _told.when = True, time.monotonic()
    if not _told.deferred:
        raise Preempted("stopped by SIGTERM: nothing was in hand that could be saved; the next call runs it again")
