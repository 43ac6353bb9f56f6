"""Print the test scores of experiments as lines of text, or those of validation where there are no others.

python -m pipeline.report.score_lines results/experiments/grid
python -m pipeline.report.score_lines --mean results/experiments/ucf101_{1,2,3}

With `--mean`, the experiments are one recognizer on the splits of a benchmark, and mean and spread are over these.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pipeline.artifact import read_json
from pipeline.errors import PipelineError
from pipeline.workflow.trials import trials_of

# What became of the videos, by the kind of experiment.
DONE = {
    "captioning": "captioned",
    "external": "captioned",
    "map_captioning": "captioned",
    "recognition": "recognized",
    "routing": "recognized",
}


def score_lines(experiment: Path) -> str:
    """Write a line about the coverage of the first seed, and a line for each metric.

    Args:
        experiment: The experiment's folder, `results/experiments/NAME`, in which the workflow has finished.

    Returns:
        The lines. Where there are several seeds, a metric has its mean, its standard deviation and the value of each.

    Raises:
        PipelineError: if settings or scores are missing or damaged.
    """
    has_test, done, scores = read_scores(experiment)
    which = "Test" if has_test else "Validation"
    covered = f"{which} split: {scores[0]['num_covered']} of {scores[0]['num_videos']} videos {done}"
    many = "" if len(scores) == 1 else f"; mean and standard deviation over {len(scores)} seeds"
    return "\n".join([covered + many, *metric_lines([of["metrics"] for of in scores])])


def mean_lines(experiments: Sequence[Path]) -> str:
    """Write a line for each metric: its mean over experiments, each a mean over its seeds, and its standard deviation.

    Args:
        experiments: Folders of experiments, one for each split of a benchmark.

    Raises:
        PipelineError: if settings or scores are missing or damaged, or some have test scores and others have not.
    """
    read = [read_scores(experiment) for experiment in experiments]
    tested = [has_test for has_test, _, _ in read]
    named = ", ".join(experiment.name for experiment in experiments)
    if len(set(tested)) > 1:
        raise PipelineError(f"{named}: some have scores of a test split and others have not: they have no mean")
    metrics = [
        {name: fmean(of["metrics"][name] for of in scores) for name in scores[0]["metrics"]} for *_, scores in read
    ]
    if any(of.keys() != metrics[0].keys() for of in metrics):
        raise PipelineError(f"{named}: their metrics differ: {' and '.join(sorted({', '.join(of) for of in metrics}))}")
    which = "Test" if tested[0] else "Validation"
    many = "" if len(metrics) == 1 else f"; mean and standard deviation over {len(metrics)} experiments"
    return "\n".join([f"{which} split of {named}{many}", *metric_lines(metrics)])


def read_scores(experiment: Path) -> tuple[bool, str, list[dict[str, Any]]]:
    """Read the scores of an experiment.

    Returns:
        Whether they are of the test split, what became of the videos, in a word, and the scores of each seed.

    Raises:
        PipelineError: if settings or scores are missing or damaged.
    """
    settings = read_json(experiment / "settings.json", ["experiment"], "describe_experiment")["experiment"]
    has_test = (experiment / "test/scores.json").exists() or not (experiment / "val/scores.json").exists()
    split = "test" if has_test else "val"
    scores = [
        read_json(experiment.parent / trial / split / "scores.json", ["metrics", "num_covered"], "score_captions")
        for trial in trials_of(experiment.name, settings["seeds"])
    ]
    return has_test, DONE[settings["kind"]], scores


def metric_lines(scores: Sequence[Mapping[str, float]]) -> list[str]:
    """Write a line for each metric; of several values mean, standard deviation and each value."""
    width = max(map(len, scores[0]))
    lines = []
    for name in scores[0]:
        values = [of[name] for of in scores]
        line = f"  {name:{width}} {fmean(values):.3f}"
        if len(values) > 1:
            line += f" +- {stdev(values):.3f}  ({', '.join(f'{value:.3f}' for value in values)})"
        lines.append(line)
    return lines


def main(arguments: Sequence[str]) -> None:
    """Print the lines of the experiments that the arguments name."""
    folders = [Path(argument) for argument in arguments if argument != "--mean"]
    if "--mean" in arguments:
        print(mean_lines(folders))
        return
    for folder in folders:
        print(f"\n{score_lines(folder)}" if len(folders) == 1 else f"\n{folder.name}: {score_lines(folder)}")


if __name__ == "__main__":
    main(sys.argv[1:])
