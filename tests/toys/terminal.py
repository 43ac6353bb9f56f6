"""A program in a terminal of its own, and what the terminal shows of it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PIECE = re.compile(rb"\x1b\[(\d*)([A-Za-z])|\r|\n|[^\x1b\r\n]+|\x1b")


class Screen:
    """All lines that were ever written, as a terminal with enough rows and columns shows them, without colours."""

    def __init__(self) -> None:
        self.lines: list[str] = [""]
        self.row = 0
        self.column = 0

    def feed(self, output: bytes) -> None:
        """Do what a terminal does with some output."""
        for piece in PIECE.finditer(output):
            text, command = piece[0].decode("utf-8", "replace"), piece[2]
            if text == "\r":
                self.column = 0
            elif text == "\n":
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif command == b"A":
                self.row -= int(piece[1] or 1)
            elif command == b"J":
                self.lines[self.row :] = [self.lines[self.row][: self.column]]
            elif command is None:
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + text + line[self.column + len(text) :]
                self.column += len(text)


class Session:
    """A program whose input, output and errors are a terminal.

    Args:
        command: The program and its arguments.
        folder: The folder it runs in.
        environment: What it sees.
        columns: Width of the terminal.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], columns: int) -> None:
        self.screen = Screen()
        self.output = b""
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execvpe(command[0], list(command), dict(environment))
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))

    def watch(self, until: Callable[[list[str]], bool], seconds: float = 240.0) -> list[str]:
        """Watch the screen until its lines are as wished, or the program ends; returns them."""
        deadline = time.monotonic() + seconds
        while not until(self.screen.lines):
            assert time.monotonic() < deadline, "\n".join(self.screen.lines)
            if select.select([self.terminal], [], [], 0.1)[0]:
                try:
                    output = os.read(self.terminal, 65536)
                except OSError:  # the other end is closed
                    output = b""
                if not output:
                    break
                self.output += output
                self.screen.feed(output)
        return list(self.screen.lines)

    def press_control_c(self) -> None:
        """Interrupt the program, with all that it has started, as a keyboard does."""
        os.write(self.terminal, b"\x03")

    def end(self) -> int:
        """Watch until the program ends; returns its exit code."""
        self.watch(lambda _: False)
        _, status = os.waitpid(self.process, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        """Kill the program and all of its group."""
        os.killpg(self.process, signal.SIGKILL)
