"""Tell of running jobs while Snakemake runs: live lines at the foot of the terminal, and one line a job in words.

Both hang on what Snakemake's logger says of jobs, so nothing is asked of the stages: how far a job is stands in its log
(`pipeline.jobs.progress`). Jobs on a cluster are seen in the same way, because their logs are files, too.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake.logging import logger as snakemake_logger
from snakemake_interface_logger_plugins.common import LogEvent

from pipeline.jobs.progress import Told, duration, told_by
from pipeline.workflow.terminal_lines import TerminalLines

SECONDS_BETWEEN_LOOKS = 0.5
END_BYTES = 4096  # of a log that are read


def show_running_jobs(workflow: Any) -> None:
    """Show live lines from now on, where Snakemake itself writes to a terminal in the foreground, and nowhere else.

    So there are none in jobs, in files, where another logger has taken the terminal, or with `--quiet all`.

    Args:
        workflow: Snakemake's workflow, which is about to run.
    """
    own = _own_handler(workflow)
    if own is not None and own.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        terminal = TerminalLines(own.stream)
        own.setStream(terminal)
        LiveLines(terminal).begin()


def tell_in_words(workflow: Any) -> None:
    """Tell of jobs in words where Snakemake is told to be quiet about rules and not about progress.

    Args:
        workflow: Snakemake's workflow, whose rules are known.
    """
    own, quiet = _own_handler(workflow), _quiet(workflow)
    is_ours = workflow.modifier.is_main_snakefile()  # a module may be imported several times
    if is_ours and own is not None and "rules" in quiet and "progress" not in quiet:
        snakemake_logger.addHandler(WordLines(own, workflow))
        own.addFilter(lambda record: workflow.dryrun or not is_said_in_words(record))


def _own_handler(workflow: Any) -> "logging.StreamHandler[Any] | None":
    """The handler of Snakemake's lines; None in a job, if all is to be quiet, or if another logger writes them."""
    if not workflow.is_main_process or "all" in _quiet(workflow):
        return None
    found = next((handler for handler in snakemake_logger.handlers if handler.name == "DefaultStreamHandler"), None)
    return found if isinstance(found, logging.StreamHandler) else None


def _quiet(workflow: Any) -> set[str]:
    return {word.name.lower() for word in workflow.output_settings.quiet or ()}


def is_said_in_words(record: logging.LogRecord) -> bool:
    """Whether a message of Snakemake is one in whose place `WordLines` speaks: all but warnings and other errors."""
    if getattr(record, "exception", None) == "RuleException":  # the whole command of a job that failed
        return True
    return record.levelno <= logging.INFO


def job_name(rule: str, names: Mapping[str, str]) -> str:
    """Name of a job for people: its rule, and the names in the path of what it makes."""
    return " ".join([rule, *map(str, names.values())])


def end_of(log: Path, since: float = 0.0) -> str:
    """The last kilobytes of a log; empty if there is none, or it was last written before a time.

    Args:
        log: The log.
        since: The time in seconds since the epoch.
    """
    try:
        with log.open("rb") as file:
            if log.stat().st_mtime < since:
                return ""
            file.seek(0, 2)
            file.seek(max(0, file.tell() - END_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


@dataclass
class RunningJob:
    """A job that has begun and not ended.

    Attributes:
        name: Its name for people.
        logs: Its logs.
        benchmark: The file that Snakemake writes when it has ended; None without one.
        since: When it began, in seconds since the epoch.
        told: What its log told last.
    """

    name: str
    logs: list[Path]
    benchmark: Path | None
    since: float = field(default_factory=time.time)
    told: Told | None = None

    def has_ended(self) -> bool:
        """Whether its benchmark says so: told to be quiet about progress, Snakemake does not."""
        try:
            return self.benchmark is not None and self.benchmark.stat().st_mtime > self.since
        except OSError:
            return False

    def line(self) -> str:
        """A line about the job, with how far it is if its log has told that, or for how long it has run."""
        for log in self.logs:
            self.told = told_by(end_of(log, self.since - 1)) or self.told  # clocks of file systems differ a little
        return self.told.words() if self.told else duration(time.time() - self.since)


class LiveLines(logging.Handler):
    """Shows a line for each running job at the foot of the terminal, twice a second.

    Args:
        terminal: The terminal that Snakemake's own lines are written to.
    """

    def __init__(self, terminal: TerminalLines) -> None:
        super().__init__()
        self._terminal = terminal
        self._running: dict[int, RunningJob] = {}
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._show, name="live lines", daemon=True)

    def begin(self) -> None:
        """Listen to Snakemake, and show lines until this process ends."""
        snakemake_logger.addHandler(self)
        atexit.register(self._end)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Note that a job begins or ends."""
        event = getattr(record, "event", None)
        said = record.__dict__
        if event == LogEvent.JOB_INFO and said["log"]:
            name = job_name(said["rule_name"], said["wildcards"])
            benchmark = Path(said["benchmark"]) if said["benchmark"] else None
            self._running[said["jobid"]] = RunningJob(name, [Path(log) for log in said["log"]], benchmark)
        elif event == LogEvent.JOB_FINISHED:
            self._running.pop(said["job_id"], None)
        elif event == LogEvent.JOB_ERROR:
            self._running.pop(said["jobid"], None)

    def _show(self) -> None:
        while not self._has_ended.wait(SECONDS_BETWEEN_LOOKS):
            jobs = [job for job in list(self._running.values()) if not job.has_ended()]
            width = max((len(job.name) for job in jobs), default=0)
            self._terminal.show([f"  {job.name:{width}}  {job.line()}" for job in jobs])

    def _end(self) -> None:
        self._has_ended.set()
        self._thread.join()
        self._terminal.clear()


class WordLines(logging.Handler):
    """Writes a line when a job begins, one when it ends, and one when it fails.

    Args:
        beside: Snakemake's own handler, whose stream the lines go to.
        workflow: Snakemake's workflow. What a rule does its docstring says, in a sentence.
    """

    def __init__(self, beside: "logging.StreamHandler[Any]", workflow: Any) -> None:
        super().__init__()
        self._beside = beside
        self._workflow = workflow
        self._num_done = 0
        self._num_jobs = 0  # that make something
        self._begun: dict[int, tuple[str, float]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of a run or a job that begins, of a job that ends or fails."""
        event, said = getattr(record, "event", None), record.__dict__
        if self._workflow.dryrun:
            return
        if event == LogEvent.RUN_INFO:
            self._num_jobs = sum(bool(job.log) for job in self._workflow.dag.needrun_jobs(exclude_finished=False))
            self._write(f"{self._num_jobs} jobs are to be done. Each begins when what it reads is there.")
        elif record.msg == NOTHING_TO_BE_DONE_MSG:
            self._write("All that is asked for is there, and nothing has changed since.")
        elif event == LogEvent.JOB_INFO and said["log"]:
            name = job_name(said["rule_name"], said["wildcards"])
            self._begun[said["jobid"]] = name, time.monotonic()
            does = next((rule.docstring for rule in self._workflow.rules if rule.name == said["rule_name"]), None)
            self._write(f"begins  {name}: {does or ''}")
        elif event == LogEvent.JOB_FINISHED and said["job_id"] in self._begun:
            self._num_done += 1
            name, since = self._begun.pop(said["job_id"])
            seconds = duration(time.monotonic() - since)
            self._write(f"  done  {name}, after {seconds} ({self._num_done} of {self._num_jobs})")
        elif event == LogEvent.JOB_ERROR and said["log"]:
            name, _ = self._begun.pop(said["jobid"], (said["rule_name"], 0.0))
            last = next((line for line in reversed(end_of(Path(said["log"][0])).splitlines()) if line.strip()), "")
            self._write(f"FAILED  {name}: {last.removeprefix('error: ')} (more in {said['log'][0]})")

    def _write(self, line: str) -> None:
        self._beside.acquire()  # Snakemake's own thread may be within a line
        try:
            self._beside.stream.write(f"{line}\n")
            self._beside.flush()
        finally:
            self._beside.release()
