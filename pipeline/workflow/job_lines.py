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

from snakemake.logging import logger as snakemake_logger
from snakemake_interface_logger_plugins.common import LogEvent

from pipeline.jobs.progress import Told, duration, told_by
from pipeline.workflow.terminal_lines import TerminalLines

SECONDS_BETWEEN_LOOKS = 0.5
END_BYTES = 4096  # of a log that are read


def tell_of_jobs(workflow: Any) -> None:
    """Begin to tell of the jobs of a run that is about to start.

    Live lines are shown where Snakemake itself writes to a terminal in the foreground, and nowhere else: not in jobs,
    nor in files, nor where another logger has taken the terminal. Lines in words take the place of Snakemake's where it
    is told to be quiet about rules (`--quiet rules progress`). `--quiet all` silences both.

    Args:
        workflow: Snakemake's workflow, whose graph of jobs is known.
    """
    quiet = {word.name.lower() for word in workflow.output_settings.quiet or ()}
    if not workflow.is_main_process or "all" in quiet:
        return
    own = next((handler for handler in snakemake_logger.handlers if handler.name == "DefaultStreamHandler"), None)
    if not isinstance(own, logging.StreamHandler):
        return
    if own.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        terminal = TerminalLines(own.stream)
        own.setStream(terminal)
        LiveLines(terminal).begin()
    if "rules" in quiet:
        told = {rule.name: rule.docstring or "" for rule in workflow.rules}
        snakemake_logger.addHandler(WordLines(own, told, len(workflow.dag)))


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
        since: When it began, in seconds since the epoch.
        told: What its log told last.
    """

    name: str
    logs: list[Path]
    since: float = field(default_factory=time.time)
    told: Told | None = None

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
            self._running[said["jobid"]] = RunningJob(name, [Path(log) for log in said["log"]])
        elif event == LogEvent.JOB_FINISHED:
            self._running.pop(said["job_id"], None)
        elif event == LogEvent.JOB_ERROR:
            self._running.pop(said["jobid"], None)

    def _show(self) -> None:
        while not self._has_ended.wait(SECONDS_BETWEEN_LOOKS):
            jobs = list(self._running.values())
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
        told: What each rule does, in a sentence.
        num_jobs: How many jobs the run has, with the one that has nothing to do but ask for all others.
    """

    def __init__(self, beside: "logging.StreamHandler[Any]", told: Mapping[str, str], num_jobs: int) -> None:
        super().__init__()
        self._beside = beside
        self._told = told
        self._num_jobs = num_jobs
        self._num_done = 0
        self._begun: dict[int, tuple[str, float]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of a job that begins, ends or fails."""
        event = getattr(record, "event", None)
        said = record.__dict__
        if event == LogEvent.JOB_INFO and said["log"]:
            name = job_name(said["rule_name"], said["wildcards"])
            self._begun[said["jobid"]] = name, time.monotonic()
            self._write(f"begins: {name}: {self._told.get(said['rule_name'], '')}")
        elif event == LogEvent.JOB_FINISHED:
            self._num_done += 1
            name, since = self._begun.pop(said["job_id"], ("", 0.0))
            if name:
                percent = 100 * self._num_done // self._num_jobs
                self._write(f"  done: {name}, after {duration(time.monotonic() - since)} ({percent} % of all jobs)")
        elif event == LogEvent.JOB_ERROR:
            name, _ = self._begun.pop(said["jobid"], (said["rule_name"], 0.0))
            self._write(f"FAILED: {name}: see {', '.join(said['log'])}")

    def _write(self, line: str) -> None:
        self._beside.acquire()  # Snakemake's own thread may be within a line
        try:
            self._beside.stream.write(f"{line}\n")
            self._beside.flush()
        finally:
            self._beside.release()
