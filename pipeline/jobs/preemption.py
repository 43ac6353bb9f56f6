"""Pre-emption: SIGTERM ends a job after what is in hand is saved, and the next call goes on from there.

Schedulers send SIGTERM some seconds before SIGKILL: to a job whose time is up, or whose place another one takes. The
command line catches it while a stage runs. While a store or a training has unsaved work, the signal is only noted, and
acted on after the next commit. Where nothing is being saved, it ends the stage at once. A second SIGTERM, some seconds
later, kills the process as it always does.
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


class _Signal:
    """What the handler of the signal and the code it interrupts know of each other."""

    def __init__(self) -> None:
        self.is_caught = False
        self.has_come = False
        self.when = 0.0  # in seconds, monotonic
        self.deferred = 0  # how many have something to save


_signal = _Signal()


@contextmanager
def catching_sigterm() -> Iterator[None]:
    """Inside, the first SIGTERM raises Preempted, at once or where the code asks; for a process's main thread."""
    _signal.is_caught, _signal.has_come, _signal.deferred = True, False, 0
    before = signal.signal(signal.SIGTERM, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _signal.is_caught = _signal.has_come = False


def reinstall_handler() -> None:
    """Put our handler back where a library has put its own, if this is inside `catching_sigterm`."""
    if _signal.is_caught:
        signal.signal(signal.SIGTERM, _note)


def ignore() -> None:
    """When the work is done: Python takes a moment to end, and a job that was killed in it would have failed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def deferring_sigterm() -> Iterator[None]:
    """Inside, SIGTERM is only noted: ask `sigterm_received`, or call `stop_if_requested` after each commit."""
    _signal.deferred += 1
    try:
        yield
    finally:
        _signal.deferred -= 1


def sigterm_received() -> bool:
    """Whether SIGTERM has come."""
    return _signal.has_come


def stop_if_requested(saved: str, *, anyway: bool = False) -> None:
    """End the process if SIGTERM has come.

    Args:
        saved: How far it got, as in "after 12 of 40 videos".
        anyway: It has come to another process of the same training.

    Raises:
        Preempted: It has come.
    """
    if _signal.has_come or anyway:
        raise Preempted(f"stopped by SIGTERM {saved}; the next call goes on from there")


def _note(*_: object) -> None:
    if _signal.has_come:
        if time.monotonic() - _signal.when > SECONDS_OF_ONE:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        return
    _signal.has_come, _signal.when = True, time.monotonic()
    if not _signal.deferred:
        raise Preempted("stopped by SIGTERM: nothing was in hand that could be saved; the next call runs it again")
