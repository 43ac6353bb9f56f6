"""Pre-emption: SIGTERM ends a job after what is in hand is saved, and the next call goes on from there.

Schedulers send SIGTERM some seconds before SIGKILL to a job whose time is up, or whose place another one takes. The
command line catches it while a stage runs. While a store or a training has unsaved work, the signal is only noted, and
acted on after the next commit. Where nothing is being saved, it ends the stage at once. A second SIGTERM, more than
`SECONDS_OF_ONE` later, kills the process at once.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Signals within this time count as one. A scheduler that signals all the processes of a job reaches the ranks of a
# training twice, because the launcher passes the signal on.
SECONDS_OF_ONE = 3.0
EXIT_CODE = 128 + signal.SIGTERM  # as shells report it; Snakemake and schedulers see a failed job, which may run again


class Preempted(BaseException):
    """SIGTERM came, and all that can be saved is saved.

    It is no `Exception`, so that code which goes on after a failure does not catch it.
    """


class _Signal:
    """The state that the handler of the signal shares with the code it interrupts."""

    def __init__(self) -> None:
        self.is_caught = False
        self.has_come = False
        self.when = 0.0  # time of the first signal in seconds, monotonic
        self.deferred = 0  # number of `deferring_sigterm` contexts that are open


_signal = _Signal()


@contextmanager
def catching_sigterm() -> Iterator[None]:
    """Inside this context, the first SIGTERM raises Preempted, at once or at `stop_if_requested` while it is deferred.

    Only the main thread of a process may enter it.
    """
    _signal.is_caught, _signal.has_come, _signal.deferred = True, False, 0
    before = signal.signal(signal.SIGTERM, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _signal.is_caught = _signal.has_come = False


def reinstall_handler() -> None:
    """Put our handler back after a library has installed its own. Outside `catching_sigterm` this does nothing."""
    if _signal.is_caught:
        signal.signal(signal.SIGTERM, _note)


def ignore() -> None:
    """Ignore SIGTERM from now on, because the work is done.

    Python takes a moment to end, and a signal in that moment would make a failed job of one that has succeeded.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def deferring_sigterm() -> Iterator[None]:
    """Inside this context SIGTERM is only noted: ask `sigterm_received`, or call `stop_if_requested` after a commit."""
    _signal.deferred += 1
    try:
        yield
    finally:
        _signal.deferred -= 1


def sigterm_received() -> bool:
    """Whether SIGTERM has come since `catching_sigterm` was entered."""
    return _signal.has_come


def stop_if_requested(saved: str, *, anyway: bool = False) -> None:
    """Raise Preempted, which ends the process, if SIGTERM has come.

    Args:
        saved: How far the work got, as in "after 12 of 40 videos".
        anyway: Whether SIGTERM has come to another process of the same training.

    Raises:
        Preempted: if SIGTERM has come to this process or another one.
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
