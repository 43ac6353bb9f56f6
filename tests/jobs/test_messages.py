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


def test_modules_speak_by_their_loggers():
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
        if any(keyword.arg == "file" and ast.unparse(keyword.value) == "sys.stderr" for keyword in node.keywords)
    }
    assert found == set()


def in_a_job_s_shell(program: str, tmp_path: Path, redirect: str) -> tuple[str, str]:
    """What a program writes to the stderr of its shell, which is what Snakemake shows, and what to the job's log."""
    prefix = "exec 198>&2; export CLIPGRAPH_CALLER=198; "  # as the Snakefile has it
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PROGRAM": program}
    command = f'{prefix}"{sys.executable}" -c "$PROGRAM" {redirect}'
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    log = tmp_path / "log"
    return done.stderr, log.read_text() if log.exists() else ""


def test_errors_reach_who_started_the_job_and_nothing_else_does(tmp_path: Path) -> None:
    shown, log = in_a_job_s_shell(PROGRAM, tmp_path, ">log 2>&1")
    assert shown == "error: do_thing: the disk is full\n"
    assert log == run().stderr


def test_a_bug_s_last_line_does_too(tmp_path: Path) -> None:
    program = "from pipeline.jobs import messages\nmessages.configure()\nraise ValueError('two\\nlines')"
    shown, log = in_a_job_s_shell(program, tmp_path, ">log 2>&1")
    assert shown == "error: ValueError: two lines\n"
    assert log.startswith("Traceback")


def test_without_a_log_of_its_own_a_job_says_it_once(tmp_path: Path) -> None:
    shown, _ = in_a_job_s_shell(PROGRAM, tmp_path, "")
    assert shown == run().stderr


def test_a_caller_that_is_gone_costs_nothing() -> None:
    assert run(CLIPGRAPH_CALLER="198").stderr == run().stderr
    assert run(CLIPGRAPH_CALLER="none").stderr == run().stderr
