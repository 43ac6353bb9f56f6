import ast
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.jobs import messages

PACKAGE = Path(__file__).parents[2] / "pipeline"
PROGRAM = """
import logging, sys
from pipeline.jobs import messages
messages.configure()
messages.configure()
log = logging.getLogger("pipeline.stages.some")
log.debug("detail")
log.info("12 of 20 done")
log.warning("no video in split %s", "val")
logging.warning("a library says so")  # which would give the root logger a handler of its own
logging.getLogger("library").info("chatter")
log.error("do_thing: the disk is full")
"""


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def run(**environment: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)


def test_information_is_plain_text_and_warnings_and_mistakes_say_what_they_are():
    done = run()
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "12 of 20 done",
        "WARNING: no video in split val",
        "WARNING: a library says so",
        "error: do_thing: the disk is full",
    ]


def test_of_several_ranks_only_the_first_informs_and_all_warn():
    warnings = ["WARNING: no video in split val", "WARNING: a library says so", "error: do_thing: the disk is full"]
    assert run(RANK="0").stderr.splitlines() == ["12 of 20 done", *warnings]
    assert run(RANK="3").stderr.splitlines() == warnings


def test_a_full_disk_costs_the_lines_and_not_the_job():
    with open("/dev/full", "w") as full:  # noqa: PTH123  a device
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM + "\nprint('goes on')"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, "goes on\n")


def test_lines_go_to_what_stderr_is_at_that_moment(capsys):
    log = logging.getLogger("pipeline.jobs.test")
    messages.configure()
    log.info("100 %% of %s", "them")
    log.info("a share of 5 %")
    assert lines(capsys) == ["100 % of them", "a share of 5 %"]


# Modules that print to stderr by themselves: as few as can be, and none in the end.
OTHERWISE = {
    "captioning/training.py",
    "finetuning/detector_training.py",
    "jobs/finished_training.py",
    "jobs/training_run.py",
    "workflow/clock.py",
}


def test_modules_speak_by_their_loggers():
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
        if any(keyword.arg == "file" and ast.unparse(keyword.value) == "sys.stderr" for keyword in node.keywords)
    }
    assert found == OTHERWISE
