"""Print the scores of the report's experiments as papers print them, where the report is, and what to try next.

python -m pipeline.report.score_table
python -m pipeline.report.score_table --configfile configs/recognition.yaml

The columns are those of papers, in their order: BLEU-4, METEOR, ROUGE-L and CIDEr of captions, top-1 and top-5 of
classes. Below each score stands its 95 % interval, as in the report.
"""

import argparse
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.config.overlays import read_config
from pipeline.errors import PipelineError
from pipeline.jobs import messages
from pipeline.report.score_lines import DONE, read_scores
from pipeline.scoring import accuracy, statistics
from pipeline.scoring.bootstrap import Estimate, estimate
from pipeline.workflow.paths import ARTIFACTS

CAPTIONS = {"Bleu_4": "BLEU-4", "METEOR": "METEOR", "ROUGE_L": "ROUGE-L", "CIDEr": "CIDEr"}
CLASSES = {"top1": "top-1", "top5": "top-5"}
OF_OWN_VIDEOS = {"captioning": "caption", "recognition": "recognize"}  # commands, by the kind of experiment they take

log = logging.getLogger(__name__)


def score_table(experiments: Mapping[str, Mapping[str, Estimate]], columns: Mapping[str, str]) -> str:
    """Write a table with two lines for each experiment: its scores, and their intervals.

    Args:
        experiments: The metrics of each experiment.
        columns: The metrics that are shown, in their order, with the names that papers give them.
    """
    rows = [["", *columns.values()]]
    for name, metrics in experiments.items():
        intervals = [metrics[metric].interval for metric in columns]
        rows.append([name, *(f"{metrics[metric].value:.3f}" for metric in columns)])
        rows.append(["", *("{:.3f} to {:.3f}".format(*ends) if ends else "" for ends in intervals)])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return "\n".join(lines)


def columns_of(metrics: Sequence[str]) -> dict[str, str]:
    """The metrics that papers print, of those that there are, with the names that papers give them.

    Of classes with several heads these are top-1 and top-5 of each head: `verb_top1` is "verb top-1".
    """
    if "CIDEr" in metrics:
        return CAPTIONS
    found = {}
    for metric in metrics:
        head, _, kind = metric.rpartition("_")
        if kind in CLASSES:
            found[metric] = f"{head} {CLASSES[kind]}".lstrip()
    return found


def estimates(scores: Sequence[Mapping[str, Any]], num_resamples: int) -> dict[str, Estimate]:
    """The metrics of an experiment with their intervals.

    Args:
        scores: The content of scores.json of each seed.
        num_resamples: Number of resamples of the videos, and of the seeds where there are several.
    """
    stored = [seed["statistics"] for seed in scores]
    if "heads" in stored[0]:
        return estimate([accuracy.hits_from_json(of) for of in stored], num_resamples)
    return estimate([statistics.from_json(of) for of in stored], num_resamples)


def tables(experiments: Sequence[Path], num_resamples: int) -> str:
    """Write a table for each kind of experiments, under a line that says what was scored.

    Args:
        experiments: Folders of the experiments, `results/experiments/NAME`.
        num_resamples: Number of resamples.

    Raises:
        PipelineError: if settings or scores are missing or damaged.
    """
    groups: dict[tuple[str, ...], dict[str, dict[str, Estimate]]] = {}
    for folder in experiments:
        has_test, done, scores = read_scores(folder)
        found = estimates(scores, num_resamples)
        what = "videos" if done == DONE["captioning"] else "clips"
        split = "Test" if has_test else "Validation"
        head = f"{split} split: {scores[0]['num_covered']} of {scores[0]['num_videos']} {what} {done}"
        groups.setdefault((head, *columns_of(list(found))), {})[folder.name] = found
    written = []
    for (head, *_), of_group in groups.items():
        columns = columns_of(list(next(iter(of_group.values()))))
        written.append(f"{head}; below each score its 95 % interval\n\n{score_table(of_group, columns)}")
    return "\n\n".join(written)


def next_steps(experiment: str, kind: str, overlays: Sequence[Path]) -> str:
    """What to try after a run, a line each.

    Args:
        experiment: An experiment that has scores.
        kind: Its kind.
        overlays: The overlays that the run was called with.
    """
    with_overlays = shlex.join(["--configfile", *map(str, overlays)]) if overlays else ""
    steps = {}
    if kind in OF_OWN_VIDEOS:
        call = f"python -m pipeline {OF_OWN_VIDEOS[kind]} VIDEO --experiment results/experiments/{experiment}"
        steps[call] = "a video of your own"
    steps |= {
        f"python -m pipeline status {with_overlays}".rstrip(): "what is done, and what is left",
        f"snakemake {with_overlays}".rstrip(): "again, after an edit of config.yaml: only what changed",
    }
    width = max(map(len, steps))
    return "\n".join(f"  {step:{width}}  {why}" for step, why in steps.items())


def main(arguments: Sequence[str]) -> int:
    """Print the tables, the report's path and what to try next.

    Returns:
        The exit code: 0, or 2 after a line about what is missing.
    """
    parser = argparse.ArgumentParser(prog="python -m pipeline.report.score_table")
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], metavar="FILE", help="overlays")
    overlays = parser.parse_args(arguments).configfile
    messages.configure()
    try:
        config = read_config([Path("config.yaml"), *overlays])
        named = config.report.experiments
        print(f"\n{tables([Path('results/experiments') / name for name in named], config.report.resamples)}")
    except PipelineError as error:
        log.error("%s", error)
        return 2
    print(f"\nThe report, with pictures and what each score means: {Path(ARTIFACTS['report']).absolute()}")
    steps = next_steps(named[0], config.experiments[named[0]].kind, overlays)
    print(f"\nTry next (after: . .venv/bin/activate):\n{steps}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
