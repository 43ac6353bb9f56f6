"""Keep lines about running jobs at the foot of a terminal, below whatever else is written to it.

The cursor waits on an empty line above these lines. So what others write there without our knowing (the shell of a job,
a stage that says why it failed, the ^C of a keyboard) stands on a line of its own, and the next drawing comes below it.
"""

import os
import threading
from collections.abc import Sequence
from typing import Any, TextIO

CLEAR_BELOW = "\x1b[J"


class TerminalLines:
    """A terminal's stream, to be written to in place of the stream: what is written first clears the lines below.

    Args:
        stream: Stream of a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._is_shown = False
        self._is_at_start = True  # whether the cursor is at the start of a line, as far as we know

    def __getattr__(self, name: str) -> Any:
        """All else is the stream's: `isatty`, `fileno`, `encoding`."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write as the stream does, after the lines are cleared."""
        with self._lock:
            self.clear()
            if text:
                self._is_at_start = text.endswith("\n")
            return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream."""
        with self._lock:
            self._stream.flush()

    def clear(self) -> None:
        """Take the lines away."""
        with self._lock:
            if self._is_shown:
                self._is_shown = False
                self._stream.write(CLEAR_BELOW)
                self._stream.flush()

    def show(self, lines: Sequence[str]) -> None:
        """Show lines in the place of those that were shown before; nothing within a line of others.

        Args:
            lines: Lines of printable characters. They are cut to the terminal's width, and to its height but two.
        """
        with self._lock:
            if not self._is_at_start or not self._is_ours():
                return
            self.clear()
            if not lines:
                return
            columns, rows = self._size()
            if len(lines) > rows - 2:
                num_shown = max(0, rows - 3)
                lines = [*lines[:num_shown], f"  and {len(lines) - num_shown} more"]
            block = "".join(f"\n{line[: columns - 1]}" for line in lines)
            self._stream.write(f"{CLEAR_BELOW}{block}\x1b[{len(lines)}A\r")
            self._stream.flush()
            self._is_shown = True

    def _size(self) -> tuple[int, int]:
        """Columns and rows; as of a common terminal where it does not say them (pipes that play terminal say 0)."""
        columns, rows = os.get_terminal_size(self._stream.fileno())
        return columns or 80, rows or 24

    def _is_ours(self) -> bool:
        """Whether this process is in the foreground: in the background, the user writes in the terminal."""
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except OSError:  # it is no longer our terminal
            return False
