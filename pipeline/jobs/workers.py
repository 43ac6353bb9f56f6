"""Decode videos in worker processes: a decoder that crashes or hangs costs one video and not the job.

A worker is a fresh Python process that imports the code that decodes and nothing else (no torch). It gets one video at
a time over a socket of its own, so that the video it dies on is known. In the parent a thread waits for each worker and
keeps it busy while the parent computes.

Workers ignore Ctrl-C and SIGTERM, because the parent may want to finish a video. They end when the parent ends, even by
SIGKILL.
"""

import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import Any, Generic, TypeVar, cast

from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.worker_messages import receive, send

AHEAD = 1  # videos that are decoded and wait, besides those that workers decode; more would only fill the memory
BOOT = "import sys; sys.path[:] = sys.argv[2:]; from pipeline.jobs.workers import serve; serve(int(sys.argv[1]))"
LEFT_TO_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Exit codes of a worker that was ended from outside, most likely by the kernel for want of memory. Its video is tried a
# second time.
ENDED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)

Request = TypeVar("Request")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Outcome(Generic[Found]):
    """What became of a request. One of the four is set.

    Attributes:
        found: What was decoded.
        reason: Why the video cannot be decoded.
        trouble: What the user must mend before any video can be.
        bug: Traceback of any other exception.
    """

    found: Found | None = None
    reason: str | None = None
    trouble: str | None = None
    bug: str | None = None

    def told(self) -> Found | VideoError:
        """What was decoded, or a VideoError that says why nothing was; raises the others."""
        if self.bug is not None:
            raise RuntimeError(f"in a decoding worker:\n{self.bug}")
        if self.trouble is not None:
            raise PipelineError(self.trouble)
        return VideoError(self.reason) if self.reason is not None else cast("Found", self.found)


@contextmanager
def decode_ahead(
    decode: Callable[[Request], Found], requests: Iterable[Request], num_workers: int, time_limit: float
) -> Iterator[Iterator[Found | VideoError]]:
    """Decode videos in worker processes, a few ahead of the reader; leaving the context ends the workers.

    Args:
        decode: Function that a worker calls with a request, of a module that is quick to import. VideoError is the
            outcome of that video. Any other PipelineError is raised here; any other exception is a bug, and raised
            here with the worker's traceback.
        requests: One request for each video.
        num_workers: Videos decoded at a time, at least 1. A worker is started when there is work for it.
        time_limit: Seconds that one video may take.

    Yields:
        An iterator that gives, for each request in order, what was decoded, or a VideoError that says why nothing was.
    """
    workers = [Worker(decode, time_limit) for _ in range(num_workers)]
    free: SimpleQueue[Worker[Request, Found]] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def attend(request: Request) -> Outcome[Found]:
        worker = free.get()
        try:
            return worker.decode(request)
        finally:
            free.put(worker)

    threads = ThreadPoolExecutor(num_workers)
    try:
        yield map(Outcome.told, _in_order(threads, attend, requests, num_workers + AHEAD))
    finally:
        for worker in workers:
            worker.end()
        threads.shutdown(cancel_futures=True)
        for worker in workers:
            worker.clear()


def _in_order(
    threads: ThreadPoolExecutor,
    attend: Callable[[Request], Outcome[Found]],
    requests: Iterable[Request],
    num_ahead: int,
) -> Iterator[Outcome[Found]]:
    todo = iter(requests)
    pending: deque[Future[Outcome[Found]]] = deque()
    pending.extend(threads.submit(attend, request) for request in islice(todo, num_ahead))
    while pending:
        outcome = pending.popleft().result()
        pending.extend(threads.submit(attend, request) for request in islice(todo, 1))
        yield outcome
        del outcome  # otherwise it stays in memory until the next one is there


class Worker(Generic[Request, Found]):
    """One worker, seen from the parent: a process that is started for its first video, and again after it died."""

    def __init__(self, function: Callable[[Request], Found], time_limit: float) -> None:
        self.function = function
        self.time_limit = time_limit
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: socket.socket | None = None
        self.lock = threading.Lock()  # no process may be started after `end` was called
        self.ended = False

    def decode(self, request: Request) -> Outcome[Found]:
        """Let the process decode a request, and once more if it was ended from outside meanwhile."""
        outcome = self._try(request)
        if outcome in ENDED_FROM_OUTSIDE:
            outcome = self._try(request)
        if isinstance(outcome, int):
            return Outcome(reason=f"the decoder crashed on it ({_cause(outcome)})")
        return outcome

    def _try(self, request: Request) -> Outcome[Found] | int:
        """The outcome, or the exit code of a process that died of the request."""
        if self.channel is None:
            self._start()
        channel = self.channel
        assert channel is not None
        channel.settimeout(self.time_limit)
        try:
            send(channel, request)
            outcome: Outcome[Found] = Outcome(**receive(channel))
        except TimeoutError:
            self.clear()
            return Outcome(reason=f"decoding took longer than {self.time_limit:g} s (time_limit)")
        except (EOFError, ConnectionError):
            return self._exit_code()
        return outcome

    def _start(self) -> None:
        with self.lock:
            if self.ended:
                raise RuntimeError("the decoding workers were ended")
            self.channel, theirs = socket.socketpair()
            with theirs:
                self.process = _start_process(theirs)
        try:
            send(self.channel, (self.function.__module__, self.function.__name__))
            receive(self.channel)  # comes when it has imported everything, because the time limit is for decoding alone
        except (EOFError, ConnectionError):
            cause = _cause(self._exit_code())
            raise RuntimeError(f"a decoding worker ended while it started ({cause}); see above") from None

    def _exit_code(self) -> int:
        """Exit code of the process, which has closed its end of the socket."""
        assert self.process is not None
        code = self.process.wait()
        self.clear()
        return code

    def clear(self) -> None:
        """Kill the process, whatever it is doing; the next request starts another one."""
        if self.process is not None and self.channel is not None:
            self.process.kill()
            self.process.wait()
            self.channel.close()
            self.process = self.channel = None

    def end(self) -> None:
        """Kill the process, from another thread, and let no other one be started."""
        with self.lock:
            self.ended = True
            process = self.process
        if process is not None:
            process.kill()


def _start_process(theirs: socket.socket) -> subprocess.Popen[bytes]:
    # This is not multiprocessing's spawn, which would import the stage's module, and what that imports, in each worker.
    handed_down = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_PARENT)  # until the worker ignores them
    try:
        return subprocess.Popen(
            [sys.executable, "-c", BOOT, str(theirs.fileno()), *sys.path],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},  # numpy would start more
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, handed_down)


def _cause(exit_code: int) -> str:
    return signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"


def serve(descriptor: int) -> None:
    """Be a worker: answer requests until the parent closes its end of the socket.

    Args:
        descriptor: File descriptor of the worker's end of the socket.
    """
    for number in LEFT_TO_PARENT:
        signal.signal(number, signal.SIG_IGN)
    channel = socket.socket(fileno=descriptor)
    threading.Thread(target=_end_with_parent, args=(descriptor,), daemon=True).start()
    module, name = receive(channel)
    function = getattr(importlib.import_module(module), name)
    gc.freeze()  # modules are no garbage, so the collection below need not look at them
    send(channel, "ready")
    while True:
        try:
            request = receive(channel)
        except (EOFError, ConnectionError):
            return
        send(channel, _outcome(function, request))
        gc.collect()  # PyAV's decoders are in cycles of references, and one for 8K frames takes 150 MB


def _end_with_parent(descriptor: int) -> None:
    hung_up = select.poll()
    hung_up.register(descriptor, 0)  # waits only for the other end to close
    hung_up.poll()
    os._exit(1)


def _outcome(function: Callable[[Request], Found], request: Request) -> dict[str, Any]:
    try:
        return {"found": function(request)}
    except VideoError as error:
        return {"reason": str(error)}
    except PipelineError as error:
        return {"trouble": str(error)}
    except Exception:
        return {"bug": traceback.format_exc()}
