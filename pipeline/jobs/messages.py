"""Show log messages to the user: one line of text on stderr for each message of the modules' loggers.

A module says `log = logging.getLogger(__name__)` and `log.info(...)`; a program calls `configure` once. A line of INFO
is plain text, a warning begins with `WARNING: ` and a mistake of the user with `error: `. Every line is flushed, so
that a log file is as new as the job is. Results of a command go to stdout by `print`.

The stderr of a job is its log file. Snakemake says of a job that failed all its inputs and, twice, its command, before
it shows that log. So that the reason comes first, the shell of a job keeps Snakemake's own stderr open under a number
that CLIPGRAPH_CALLER names (see shell.prefix in the Snakefile), and errors go there, too.
"""

import logging
import os
import sys
from contextlib import suppress
from types import TracebackType

CALLER = "CLIPGRAPH_CALLER"
PREFIXES = {logging.WARNING: "WARNING: ", logging.ERROR: "error: "}


class Lines(logging.Handler):
    """Handler that writes each message as a line on `sys.stderr`, whatever that is at the moment.

    Of the ranks of a training only the first writes messages that are no warnings; torchrun sets RANK. A line that
    cannot be written is lost: the log may be on the disk that is full, and the message that says so must not end in a
    traceback.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message as a line."""
        if record.levelno <= logging.INFO and os.environ.get("RANK", "0") != "0":
            return
        line = f"{PREFIXES.get(record.levelno, '')}{self.format(record)}\n"
        with suppress(OSError):
            sys.stderr.write(line)
            sys.stderr.flush()
        if record.levelno >= logging.ERROR:
            tell_caller(line)


def configure() -> None:
    """Let all loggers write lines: those of this package from INFO on, all others from WARNING on.

    A second call changes nothing. The handler is the root logger's: if that had none, the first call of
    `logging.warning` by some library would give it another one, and every line would come twice.
    """
    root = logging.getLogger()
    if not any(isinstance(handler, Lines) for handler in root.handlers):
        root.addHandler(Lines())
    logging.getLogger("pipeline").setLevel(logging.INFO)
    if CALLER in os.environ:
        sys.excepthook = _tell_of_bug


def tell_caller(line: str) -> None:
    """Write a line to the stderr of whoever started the job, if the job's shell kept it open and it is another one."""
    with suppress(OSError, ValueError):  # it is closed: ranks of a training do not get it
        kept = int(os.environ.get(CALLER, "-1"))
        if not os.path.sameopenfile(kept, 2):
            os.write(kept, line.encode("utf-8", "backslashreplace"))


def _tell_of_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback, and tell the caller its last line."""
    sys.__excepthook__(kind, error, trace)
    message = " ".join(str(error).split())
    tell_caller(f"error: {kind.__name__}: {message}\n")
