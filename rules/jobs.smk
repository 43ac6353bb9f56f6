"""
Functions by which rules say how their jobs run: settings, digests of code, threads, memory and time.
"""

import json
from functools import cache
from hashlib import sha256

from snakemake.logging import logger

from pipeline.errors import PipelineError
from pipeline.jobs import gpus
from pipeline.workflow.code_digest import PACKAGE, digest
from pipeline.workflow.experiment_chain import chain_of
from pipeline.workflow.paths import ARTIFACTS
from pipeline.workflow.shards import as_words
from pipeline.workflow.trials import seed_of

# Threads of rules of which two run side by side: 4, or half of the cores where there are fewer than 8. Within a job of a
# cluster this is evaluated again: there they are all the cores that the job got.
SOME_THREADS = min(4, workflow.cores if workflow.remote_exec else max(1, workflow.cores // 2))


def settings(route, without=()):
    """Parameter function: settings at the end of a route, as JSON text with sorted keys for Snakemake to compare.

    Args:
        route: Route from a wildcard to an entry or a setting.
        without: Settings that the stage does not read, so that it does not run again for them.
    """

    def text(wildcards):
        word = route.rpartition(".")[2]
        value = walk(route, dict(wildcards.items()))
        entry = config[SECTIONS[word]][value] if isinstance(value, str) else value
        if without:
            entry = {key: setting for key, setting in entry.items() if key not in without}
        return json.dumps(entry, sort_keys=True)

    return text


def experiment_chain(wildcards):
    """Parameter function: all settings that an experiment stands on, as JSON."""
    return json.dumps(chain_of(config, wildcards.experiment, ARTIFACTS), sort_keys=True)


def seed(wildcards):
    """Parameter function: the seed of a trial, as text for Snakemake to compare."""
    return str(seed_of(wildcards.trial, walk("experiment.seeds", wildcards)))


def code(stage, *files):
    """Parameter function: digests of the code that computes a stage's values, and of files that it fills in."""

    def digests(wildcards):
        dataset = config["datasets"][wildcards.dataset]["kind"] if hasattr(wildcards, "dataset") else None
        return "-".join([stage_digest(stage, dataset), *map(file_digest, files)])

    return digests


stage_digest = cache(digest)


@cache
def file_digest(name):
    return sha256((PACKAGE / name).read_bytes()).hexdigest()[:16]


def scaled(amount):
    """Resource function: an amount at the first attempt, twice as much at the second, three times as much from then on.

    A job may have failed for want of memory or time. It may also have been preempted, any number of times.

    Args:
        amount: Megabytes, or a time as "30m", "4h", "2d".
    """

    def for_attempt(wildcards, attempt):
        factor = min(attempt, 3)
        if isinstance(amount, str):
            return f"{int(amount[:-1]) * factor}{amount[-1]}"
        return amount * factor

    return for_attempt


def all_inputs(wildcards, input):
    """Parameter function: all inputs as words of a shell command, short however many shards there are."""
    return as_words(input)


def check_gpus():
    """Before the first job, raise an error if more GPUs are asked for than there are, and warn once if there is none.

    Without this, Snakemake lowers what a rule asks for to what the call allows, and does not say so. Where a scheduler
    starts the jobs nothing is checked, because they do not run on this machine's GPUs.
    """
    if workflow.non_local_exec or workflow.touch:
        return
    limit = workflow.global_resources.get("gpu").value
    rules_of_gpus = {rule.name: rule.resources.get("gpu") for rule in workflow.rules}
    asked = {name: gpu.value for name, gpu in rules_of_gpus.items() if not gpu.is_evaluable() and gpu.value}
    try:
        warning = gpus.check_machine(limit, asked)
    except PipelineError as error:
        raise WorkflowError(str(error)) from None
    if warning and any(job.resources.get("gpu") for job in workflow.dag.needrun_jobs()):
        logger.warning(f"WARNING: {warning}")
