"""Lines at the foot of a terminal, on a screen of the tests that does what a terminal does."""

import os
import pty
import threading

import pytest
from toys.terminal import Screen

from pipeline.workflow import terminal_lines
from pipeline.workflow.terminal_lines import TerminalLines


class Terminal:
    """A stream of a terminal with 7 rows and 30 columns, and its screen."""

    def __init__(self):
        self.screen = Screen()
        self.written = ""

    def write(self, text):
        self.written += text
        self.screen.feed(text.replace("\n", "\r\n").encode())
        return len(text)

    def flush(self):
        pass

    def fileno(self):
        return 2


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(TerminalLines, "_is_ours", lambda _: True)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((30, 7)))
    return Terminal()


def test_lines_stand_below_an_empty_one_and_give_way_to_what_is_written(terminal):
    lines = TerminalLines(terminal)
    lines.write("Execute 2 jobs...\n")
    lines.show(["  one  3 s", "  two  2 s"])
    assert terminal.screen.lines == ["Execute 2 jobs...", "", "  one  3 s", "  two  2 s"]
    lines.show(["  two  3 s"])
    assert terminal.screen.lines == ["Execute 2 jobs...", "", "  two  3 s"]
    lines.write("Finished jobid: 2\n")
    assert terminal.screen.lines == ["Execute 2 jobs...", "Finished jobid: 2", ""]
    lines.show([])
    assert terminal.screen.lines == ["Execute 2 jobs...", "Finished jobid: 2", ""]


def test_what_others_write_meanwhile_has_a_line_of_its_own(terminal):
    lines = TerminalLines(terminal)
    lines.show(["  one  a long line 3 s", "  two  2 s"])
    terminal.write("error: no header\n")  # the stage itself, past us
    lines.show(["  one  a long line 4 s"])
    assert terminal.screen.lines == ["error: no header", "", "  one  a long line 4 s"]


def test_nothing_is_shown_within_a_line_of_others(terminal):
    lines = TerminalLines(terminal)
    lines.write("half a line")
    lines.show(["  one"])
    lines.write(" and the rest\n")
    assert terminal.screen.lines == ["half a line and the rest", ""]


def test_lines_are_cut_to_the_terminal(terminal):
    lines = TerminalLines(terminal)
    lines.show([f"  {number} {'x' * 40}" for number in range(9)])
    assert terminal.screen.lines[1:] == [f"  {number} {'x' * 25}" for number in range(4)] + ["  and 5 more"]


def test_a_terminal_that_does_not_say_its_size_is_one_of_80_columns_and_24_rows(terminal, monkeypatch):
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((0, 0)))
    TerminalLines(terminal).show([f"  {number} {'x' * 90}" for number in range(30)])
    shown = [line for line in terminal.written.replace("\r", "\n").split("\n") if line.startswith("  ")]
    assert [len(line) for line in shown[:21]] == [79] * 21
    assert shown[21].startswith("  and 9 more")


def test_nothing_is_shown_in_the_background(terminal, monkeypatch):
    monkeypatch.setattr(TerminalLines, "_is_ours", lambda _: False)
    TerminalLines(terminal).show(["  one"])
    assert terminal.written == ""


def test_a_terminal_of_others_is_not_ours():
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        TerminalLines(stream).show(["  one"])
        stream.write("end\n")
    assert os.read(ours, 100) == b"end\r\n"
    os.close(ours)


def test_lines_and_writers_take_turns(terminal):
    lines = TerminalLines(terminal)
    said = [f"line {number}" for number in range(300)]

    def show():
        for number in range(300):
            lines.show([f"  {number}"] * 3)

    shower = threading.Thread(target=show)
    shower.start()
    for line in said:
        lines.write(line)
        lines.write("\n")
    shower.join()
    lines.clear()
    assert [line for line in terminal.screen.lines if line] == said
    assert terminal_lines.CLEAR_BELOW in terminal.written
