"""Show log messages to the user: one line of text on stderr for each message of the modules' loggers.

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
    """Handler that writes each message as a line on `sys.stderr`, whatever that is at the moment.

    Of the ranks of a training only the first writes messages that are no warnings; torchrun sets RANK. A line that
    cannot be written is lost: the log may be on the disk that is full, and the message that says so must not end in a
    traceback.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message as a line."""
        if record.levelno <= logging.INFO and os.environ.get("RANK", "0") != "0":
            return
        with suppress(OSError):
            sys.stderr.write(f"{PREFIXES.get(record.levelno, '')}{self.format(record)}\n")
            sys.stderr.flush()


def configure() -> None:
    """Let all loggers write lines: those of this package from INFO on, all others from WARNING on.

    A second call changes nothing. The handler is the root logger's: if that had none, the first call of
    `logging.warning` by some library would give it another one, and every line would come twice.
    """
    root = logging.getLogger()
    if not any(isinstance(handler, Lines) for handler in root.handlers):
        root.addHandler(Lines())
    logging.getLogger("pipeline").setLevel(logging.INFO)
