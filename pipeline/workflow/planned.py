"""The jobs behind some targets, as Snakemake's own graph has them, for programs that are not Snakemake.

A dry run that finds PLAN in its environment writes its graph there when it has been built: the Snakefile calls
`write_plan_when_built`. So the rules are asked, and nothing here knows what an artifact needs.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError

PLAN = "CLIPGRAPH_PLAN"


@dataclass(frozen=True)
class PlannedJob:
    """A job of the graph.

    Attributes:
        rule: Its rule.
        names: The names in the paths of what it makes, such as `{"dataset": "shapes", "shard": "003"}`.
        inputs: Paths of what it reads.
        outputs: Paths of what it makes; none if it only asks for others.
        log: Path of its log; None without one.
        benchmark: Path of the file that says how long it took; None without one.
        is_left: Whether Snakemake would run it.
    """

    rule: str
    names: dict[str, str]
    inputs: list[str]
    outputs: list[str]
    log: str | None
    benchmark: str | None
    is_left: bool


def write_plan_when_built(workflow: Any) -> None:
    """Let a dry run write its graph of jobs, once it is built, to the file that PLAN names; without PLAN, do nothing.

    Args:
        workflow: Snakemake's workflow.
    """
    if PLAN in os.environ:
        from snakemake.logging import logger

        logger.addHandler(_PlanWriter(workflow, Path(os.environ[PLAN])))


class _PlanWriter(logging.Handler):
    """Writes the graph at the first message after it was built, which says how many jobs there are, or none."""

    def __init__(self, workflow: Any, file: Path) -> None:
        super().__init__()
        self._workflow = workflow
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        from snakemake.common import NOTHING_TO_BE_DONE_MSG
        from snakemake_interface_logger_plugins.common import LogEvent

        if getattr(record, "event", None) == LogEvent.RUN_INFO or record.msg == NOTHING_TO_BE_DONE_MSG:
            dag = self._workflow.dag
            jobs = [_as_json(job, bool(dag.needrun(job))) for job in dag.jobs]
            self._file.write_text(json.dumps(jobs), encoding="utf-8")


def _as_json(job: Any, is_left: bool) -> dict[str, Any]:
    return {
        "rule": job.rule.name,
        "names": {key: str(value) for key, value in job.wildcards_dict.items()},
        "inputs": [str(path) for path in job.input],
        "outputs": [str(path) for path in job.output],
        "log": next((str(path) for path in job.log), None),
        "benchmark": None if job.benchmark is None else str(job.benchmark),
        "is_left": is_left,
    }


def plan(targets: Sequence[str], overlays: Sequence[Path]) -> list[PlannedJob]:
    """Ask Snakemake for all jobs behind some targets, by a dry run, which needs no lock and changes nothing.

    Args:
        targets: What Snakemake is asked for: names of rules and paths of artifacts.
        overlays: Files that go on top of config.yaml.

    Raises:
        PipelineError: if Snakemake cannot plan for them.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.json"
        options = ["--cores", "1", *(["--configfile", *map(str, overlays)] if overlays else [])]
        command = [sys.executable, "-m", "snakemake", *targets, "-n", "--quiet", "rules", "progress", *options]
        environment = os.environ | {PLAN: str(file)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode or not file.exists():
            reason = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:])
            raise PipelineError(f"Snakemake cannot plan what the configuration needs ({reason})")
        return [PlannedJob(**job) for job in json.loads(file.read_text(encoding="utf-8"))]


def jobs_behind(jobs: Iterable[PlannedJob], paths: Iterable[str]) -> list[PlannedJob]:
    """The jobs that some files stand on, themselves included, in the order of the plan.

    Args:
        jobs: The plan.
        paths: The files.
    """
    jobs = list(jobs)
    maker: Mapping[str, int] = {path: number for number, job in enumerate(jobs) for path in job.outputs}
    pending, found = list(paths), set()
    while pending:
        number = maker.get(pending.pop())
        if number is not None and number not in found:
            found.add(number)
            pending += jobs[number].inputs
    return [jobs[number] for number in sorted(found)]
