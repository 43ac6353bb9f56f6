"""
Functions by which rules name what a captioner reads, what another system brings in its place, and what explains it.
"""

import json

from pipeline.config.experiments import CAPTIONED, CAPTIONING
from pipeline.workflow.paths import ARTIFACTS
from pipeline.workflow.splits import file_of, splits_of
from pipeline.workflow.trials import experiment_of


def captioner_inputs(experiment, dataset, **more):
    """Inputs of a stage that runs a captioner: graphs, and motion of pairs, knowledge and objects if it reads them.

    A captioner of maps has none of these.

    Args:
        experiment: Route to the captioner's experiment.
        dataset: Route to the data set whose videos the captioner reads.
        more: Further arguments of `artifact`.
    """
    shards = {"dataset": dataset, "shard": "all"} | more
    graph, knowledge, objects = f"{experiment}.graph", f"{experiment}.knowledge", f"{experiment}.objects"
    return {
        "graphs": artifact("graphs", where=graph, graph=graph, **shards),
        "pair_motion": artifact("pair_motion", where=f"{graph}.motion_of=union_box", graph=graph, **shards),
        "knowledge": artifact("knowledge", where=knowledge, knowledge=knowledge, **shards),
        "objects": artifact("nodes", where=objects, nodes=objects, **shards),
    }


def map_inputs(experiment, dataset, **more):
    """Input of a stage that runs a captioner of maps: these, or nothing if the captioner reads graphs.

    Args:
        experiment: Route to the captioner's experiment.
        dataset: Route to the data set whose videos the captioner reads.
        more: Further arguments of `artifact`.
    """
    maps = f"{experiment}.maps"
    return artifact("maps", where=maps, maps=maps, dataset=dataset, shard="all", **more)


def explanations_of(kind):
    """Regular expression that matches the names of the explanations of experiments of a kind."""
    fitting = [
        name
        for name, entry in config["explanations"].items()
        if config["experiments"][entry["experiment"]]["kind"] == kind
    ]
    return "|".join(fitting) or "(?!)"


def of_explained(kind, **more):
    """Input function: an artifact of the first trial, or of the data set, that the explanation of the job is about."""
    routes = {"trial": "explanation.experiment", "split": "explanation.split"}
    return artifact(kind, **routes, dataset="explanation.experiment.dataset", **more)


def imported(setting):
    """Input function: the file of the split of the job that an external experiment names.

    Args:
        setting: `captions`, which must be there, or `ids`, of which there may be none.

    Raises:
        WorkflowError: if the experiment names no captions of the split, before anything is run.
    """

    def path(wildcards):
        experiment = experiment_of(wildcards.trial)
        scored = splits_of(config, experiment)
        if wildcards.split not in scored:
            raise WorkflowError(
                f"experiments.{experiment}.captions: no file of split {wildcards.split}: name one, or ask for the "
                f"scores of {' or '.join(scored) or 'no split'}"
            )
        named = file_of(config["experiments"][experiment][setting], wildcards.split)
        return [] if named is None else [brought(named)]

    return path


def of_split(kind):
    """Input function: an artifact of all trials of the report that caption the data set and split of the job."""

    def paths(wildcards):
        return [
            path
            for trial in reported(" ".join([*CAPTIONED, "trial"]))
            if config["experiments"][experiment_of(trial)]["dataset"] == wildcards.dataset
            and wildcards.split in splits_of(config, experiment_of(trial))
            for path in expand(ARTIFACTS[kind], trial=trial, split=wildcards.split)
        ]

    return paths


def reading(wildcards):
    """Parameter function: how the captions of another system are read, as JSON."""
    kept = {key: walk(f"experiment.{key}", wildcards) for key in ("form", "tokenizer")}
    return json.dumps(kept, sort_keys=True)
