"""Print the test scores of experiments as lines of text, or those of validation where there are no others.

python -m pipeline.report.score_lines results/experiments/grid
"""

import sys
from pathlib import Path
from statistics import fmean, stdev

from pipeline.artifact import read_json
from pipeline.workflow.trials import trials_of

# What became of the videos, by the kind of experiment.
DONE = {"captioning": "captioned", "recognition": "recognized", "routing": "recognized"}


def score_lines(experiment: Path) -> str:
    """Write a line about the coverage of the first seed, and a line for each metric.

    Args:
        experiment: The experiment's folder, `results/experiments/NAME`, in which the workflow has finished.

    Returns:
        The lines. Where there are several seeds, a metric has its mean, its standard deviation and the value of each.

    Raises:
        PipelineError: if settings or scores are missing or damaged.
    """
    settings = read_json(experiment / "settings.json", ["experiment"], "describe_experiment")["experiment"]
    seeds, done = settings["seeds"], DONE[settings["kind"]]
    has_test = (experiment / "test/scores.json").exists() or not (experiment / "val/scores.json").exists()
    split = "test" if has_test else "val"
    scores = [
        read_json(experiment.parent / trial / split / "scores.json", ["metrics", "num_covered"], "score_captions")
        for trial in trials_of(experiment.name, seeds)
    ]
    which = "Test" if has_test else "Validation"
    covered = f"{which} split: {scores[0]['num_covered']} of {scores[0]['num_videos']} videos {done}"
    lines = [covered if len(seeds) == 1 else f"{covered}; mean and standard deviation over {len(seeds)} seeds"]
    width = max(map(len, scores[0]["metrics"]))
    for name in scores[0]["metrics"]:
        values = [of["metrics"][name] for of in scores]
        line = f"  {name:{width}} {fmean(values):.3f}"
        if len(values) > 1:
            line += f" +- {stdev(values):.3f}  ({', '.join(f'{value:.3f}' for value in values)})"
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        print(f"\n{score_lines(folder)}" if len(sys.argv) == 2 else f"\n{folder.name}: {score_lines(folder)}")
