"""Speak to the user: one line of text on stderr for each message of the modules' loggers.

A module says `log = logging.getLogger(__name__)` and `log.info(...)`; a program calls `configure` once. A line of INFO
is plain text, a warning begins with `WARNING: ` and a mistake of the user with `error: `. Every line is flushed, so
that a log file is as new as the job is. Results of a command go to stdout by `print`.
"""

import logging
import os
import sys
from contextlib import suppress

PREFIXES = {logging.WARNING: "WARNING: ", logging.ERROR: "error: "}


class Lines(logging.Handler):
    """Write messages as lines on what is `sys.stderr` at that moment.

    Of the processes of a training only the first writes what is no warning: torchrun sets RANK. A line that cannot be
    written is lost: the log may be on the disk that is full, and the message that says so must not end in a traceback.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        if record.levelno <= logging.INFO and os.environ.get("RANK", "0") != "0":
            return
        with suppress(OSError):
            sys.stderr.write(f"{PREFIXES.get(record.levelno, '')}{self.format(record)}\n")
            sys.stderr.flush()


def configure() -> None:
    """Let all loggers write lines: those of this package from INFO on, all others from WARNING on.

    Several calls are as good as one. The root logger has the handler: without one there, the first call of
    `logging.warning` by some library would give it another, and every line would come twice.
    """
    root = logging.getLogger()
    if not any(isinstance(handler, Lines) for handler in root.handlers):
        root.addHandler(Lines())
    logging.getLogger("pipeline").setLevel(logging.INFO)
