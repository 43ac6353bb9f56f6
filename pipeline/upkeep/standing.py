"""Say how far jobs are: done, running, failed or left, and how long the rest may take.

What is done, Snakemake's plan says. Of the others, the log says more: the shell of a job empties it at the start, so a
log that was written since Snakemake's present call began is that of a job at work, unless it ends with an error.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal, NamedTuple

from pipeline.jobs.progress import Told, told_by
from pipeline.workflow.job_lines import end_of, job_name
from pipeline.workflow.planned import PlannedJob

State = Literal["done", "running", "failed", "left"]
Usual = Mapping[tuple[str, str], float]  # seconds that jobs of a rule take with a data set, or with none

ERROR = "error: "
TRACEBACK = "Traceback (most recent call last):"
STOPPED = ("stopped by SIGTERM", "KeyboardInterrupt")


@dataclass(frozen=True)
class Standing:
    """How far a job is.

    Attributes:
        job: The job.
        state: `left` if it has not begun, or was stopped half-way.
        told: What its log told last of its progress, if it is not done.
        reason: Why it failed, in a line of its log; empty otherwise.
        num_kept: Videos that are in its half-written store.
    """

    job: PlannedJob
    state: State
    told: Told | None = None
    reason: str = ""
    num_kept: int = 0

    @property
    def name(self) -> str:
        """Name of the job for people."""
        return job_name(self.job.rule, self.job.names)


class TimeLeft(NamedTuple):
    """How long jobs may take.

    Attributes:
        least: Seconds of the longest chain of jobs that wait for one another, if all others run at once beside it.
        most: Seconds of all jobs one after another.
        num_unknown: How many jobs there are of which nothing is known; they are in neither number.
        unknown: Their rules, in alphabetical order.
    """

    least: float
    most: float
    num_unknown: int
    unknown: list[str]


def standing(job: PlannedJob, begun: float | None) -> Standing:
    """Say how far a job is.

    Args:
        job: The job.
        begun: When Snakemake's present call began, in seconds since the epoch; None if none is at work.
    """
    if not job.is_left:
        return Standing(job, "done")
    text = end_of(Path(job.log)) if job.log is not None else ""
    num_kept = sum(kept_videos(Path(path)) for path in job.outputs)
    if reason := failure(text):
        return Standing(job, "failed", reason=reason, num_kept=num_kept)
    last_word = time_of(job.log)
    if begun is not None and last_word >= begun and not is_stopped(text):
        if time_of(job.benchmark) >= last_word:  # it has ended since the plan was made
            return Standing(job, "done")
        return Standing(job, "running", told_by(text), num_kept=num_kept)
    return Standing(job, "left", told_by(text) if num_kept else None, num_kept=num_kept)


def time_of(file: str | None) -> float:
    """When a file was last written, in seconds since the epoch; 0 if there is none."""
    try:
        return Path(file).stat().st_mtime if file is not None else 0.0
    except OSError:
        return 0.0


def failure(text: str) -> str:
    """The line of a log's end that says why the job failed; empty if it did not fail, or was told to stop.

    Args:
        text: The end of the log.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if is_stopped(text):
        return ""
    errors = [line for line in lines if line.startswith(ERROR)]
    if errors:
        return errors[-1]
    return lines[-1] if TRACEBACK in lines else ""


def is_stopped(text: str) -> bool:
    """Whether the end of a log says that the job was told to stop."""
    return any(word in text for word in STOPPED)


def kept_videos(output: Path) -> int:
    """How many videos the half-written store beside an output holds, by the lines of its journal; 0 without one.

    Args:
        output: The root `zarr.json` of a store, which may not exist, or another file.
    """
    store = output.parent
    try:
        return (store.with_name(f".{store.name}.partial") / "journal.jsonl").read_bytes().count(b"\n")
    except (OSError, ValueError):
        return 0


def benchmark_seconds(file: Path) -> float | None:
    """How long a job took, as Snakemake's benchmark file says it; None without one.

    Args:
        file: A table with the column `s` and a row.
    """
    try:
        with file.open(encoding="utf-8", newline="") as table:
            row = next(csv.DictReader(table, delimiter="\t"), None)
        return float(row["s"]) if row is not None else None
    except (OSError, KeyError, TypeError, ValueError):
        return None


def usual_seconds(jobs: Iterable[PlannedJob]) -> Usual:
    """The mean time of jobs that have ended, by rule and data set (empty where the paths name none)."""
    found: dict[tuple[str, str], list[float]] = {}
    for job in jobs:
        seconds = benchmark_seconds(Path(job.benchmark)) if job.benchmark is not None else None
        if seconds is not None:
            found.setdefault(_like(job), []).append(seconds)
    return {like: fmean(seconds) for like, seconds in found.items()}


def time_left(standings: Sequence[Standing], usual: Usual) -> TimeLeft:
    """Estimate how long the jobs take that are not done.

    Of a job that has told how far it is, its own pace counts; of another, what jobs of its kind have taken.

    Args:
        standings: How far each job is.
        usual: What jobs take, by `usual_seconds`.
    """
    seconds: dict[str, float] = {}
    unknown = []
    open_jobs = [of for of in standings if of.state != "done"]
    for of in open_jobs:
        own = of.told.seconds_left if of.told else usual.get(_like(of.job))
        if own is None:
            unknown.append(of.job.rule)
        for path in of.job.outputs:
            seconds[path] = own or 0.0
    maker = {path: of.job for of in open_jobs for path in of.job.outputs}
    ends: dict[str, float] = {}

    def end(path: str) -> float:
        """When an output is there, if every job begins as soon as its inputs are there."""
        if path not in ends:
            job = maker[path]
            start = max((end(needed) for needed in job.inputs if needed in maker), default=0.0)
            ends.update(dict.fromkeys(job.outputs, start + seconds[path]))
        return ends[path]

    least = max((end(path) for path in maker), default=0.0)
    most = sum(seconds[of.job.outputs[0]] for of in open_jobs)
    return TimeLeft(least, most, len(unknown), sorted(set(unknown)))


def _like(job: PlannedJob) -> tuple[str, str]:
    return job.rule, job.names.get("dataset", "")
