"""Say of each experiment what is done, running, failed and left, and how long the rest may take.

    python -m pipeline status
    python -m pipeline status --configfile configs/mine.yaml
    python -m pipeline status object object_knowledge

Snakemake itself says which jobs an experiment stands on and which are left, by a dry run; logs, half-written stores and
benchmark files say the rest. Nothing is changed, no lock is taken, and Snakemake may be at work meanwhile.
"""

import argparse
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.config import Config
from pipeline.config.overlays import read_config
from pipeline.errors import PipelineError
from pipeline.jobs.progress import duration
from pipeline.upkeep.at_work import call_at_work
from pipeline.upkeep.standing import Standing, TimeLeft, Usual, standing, time_left, usual_seconds
from pipeline.workflow.paths import ARTIFACTS
from pipeline.workflow.planned import PlannedJob, jobs_behind, plan
from pipeline.workflow.splits import splits_of
from pipeline.workflow.trials import trials_of

SUMMARY = "Say of each experiment what is done, running, failed and left, and how long the rest may take."

COLUMNS = ("", "jobs", "done", "running", "failed", "left", "time left")
EVERYTHING = "report"  # the row of all that a plain call of Snakemake makes


def main(arguments: Sequence[str]) -> int:
    """Print how far experiments are.

    Args:
        arguments: The arguments after `status`.

    Returns:
        The exit code, 0.

    Raises:
        PipelineError: if the configuration is not valid, has no such experiment, or Snakemake cannot plan for it.
    """
    parser = argparse.ArgumentParser(prog="python -m pipeline status", description=SUMMARY)
    parser.add_argument(
        "experiments",
        nargs="*",
        metavar="EXPERIMENT",
        help="experiments to tell of (those that the report names, and the report itself)",
    )
    parser.add_argument(
        "--configfile", nargs="+", type=Path, default=[], metavar="FILE", help="overlays, as for snakemake"
    )
    chosen = parser.parse_args(arguments)
    config = read_config([Path("config.yaml"), *chosen.configfile])
    named = list(dict.fromkeys(chosen.experiments)) or config.report.experiments
    for experiment in named:
        if experiment not in config.experiments:
            known = ", ".join(config.experiments)
            raise PipelineError(f"no experiment is called {experiment}: the configuration has {known}")
    ends = {experiment: ends_of(config, experiment) for experiment in named}
    targets = [path for paths in ends.values() for path in paths] + ([] if chosen.experiments else ["all"])
    jobs = plan(targets, chosen.configfile)
    call = call_at_work(Path())
    standings = [standing(job, call.begun if call else None) for job in jobs]
    groups = {} if chosen.experiments else {EVERYTHING: jobs_of(jobs, [p for job in jobs for p in asked_by(job)])}
    groups |= {experiment: jobs_of(jobs, paths) for experiment, paths in ends.items()}
    usual = usual_seconds(jobs)
    print(call.words() if call else "Snakemake is not at work here.")
    print(table({name: [standings[number] for number in numbers] for name, numbers in groups.items()}, usual))
    shown = sorted({number for numbers in groups.values() for number in numbers})
    for line in details([standings[number] for number in shown]):
        print(line)
    for line in remarks([standings[number] for number in shown], usual, chosen.configfile, is_at_work=call is not None):
        print(line)
    return 0


def ends_of(config: Config, experiment: str) -> list[str]:
    """The last artifacts of an experiment: its settings, and the scores of each seed on each split that is scored."""
    settings, splits = config.experiments[experiment], splits_of(config.model_dump(mode="json"), experiment)
    return [
        ARTIFACTS["settings"].format(experiment=experiment),
        *(
            ARTIFACTS["scores"].format(trial=trial, split=split)
            for trial in trials_of(experiment, settings.seeds)
            for split in splits
        ),
    ]


def asked_by(job: PlannedJob) -> list[str]:
    """What the target `all` asks for; nothing for any other job."""
    return job.inputs if job.rule == "all" else []


def jobs_of(jobs: Sequence[PlannedJob], paths: Iterable[str]) -> list[int]:
    """The places in a plan of the jobs that some files stand on."""
    needed = {id(job) for job in jobs_behind(jobs, paths)}
    return [number for number, job in enumerate(jobs) if id(job) in needed]


def table(groups: dict[str, list[Standing]], usual: Usual) -> str:
    """A row of counts for each group of jobs.

    Args:
        groups: How far the jobs of each group are, by the group's name.
        usual: What jobs take, by `usual_seconds`.
    """
    rows: list[tuple[str, ...]] = [COLUMNS]
    for name, standings in groups.items():
        counts = [sum(of.state == state for of in standings) for state in COLUMNS[2:6]]
        left = estimate(time_left(standings, usual)) if counts[0] < len(standings) else "-"
        rows.append((name, *map(str, (len(standings), *counts)), left))
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True))]
        )
        + f"  {row[-1]}"
        for row in rows
    )


def estimate(left: TimeLeft) -> str:
    """A time left in words: from that of the longest chain of jobs to that of all jobs one after another."""
    least, most = duration(left.least), duration(left.most)
    known = most if least == most else f"{least} to {most}"
    if not left.num_unknown:
        return known
    jobs = f"{left.num_unknown} job{'s' if left.num_unknown > 1 else ''} of unknown length"
    return f"{known}, and {jobs}" if left.most else jobs


def details(standings: Sequence[Standing]) -> list[str]:
    """A line for each job that is running, has failed, or was stopped half-way."""
    lines = []
    for of in standings:
        if of.state == "running":
            kept = f"; {of.num_kept} videos are kept" if of.num_kept else ""
            lines.append(f"running: {of.name}: {of.told.words() if of.told else 'no word of progress yet'}{kept}")
        elif of.state == "failed":
            lines.append(f"failed: {of.name}: {of.reason.removeprefix('error: ')} ({of.job.log})")
        elif of.num_kept:
            lines.append(f"stopped half-way: {of.name}: {of.num_kept} videos are kept")
    return ["".join(c if c.isprintable() else repr(c)[1:-1] for c in line) for line in lines]


def remarks(standings: Sequence[Standing], usual: Usual, overlays: Sequence[Path], *, is_at_work: bool) -> list[str]:
    """What the times are, of which stages none is known, and how to go on."""
    if all(of.state == "done" for of in standings):
        return ["All is done."]
    lines = []
    left = time_left(standings, usual)
    if left.most:
        lines.append("Time left: from all at once that need not wait for one another, to one job after another.")
    if left.unknown:
        lines.append(f"Of unknown length, because no job of the stage has ended here yet: {', '.join(left.unknown)}")
    if not is_at_work:
        call = shlex.join(["snakemake", *(["--configfile", *map(str, overlays)] if overlays else [])])
        lines.append(f"To go on: {call}")
    return lines
