"""Compare experiments: each metric with its interval, and its difference to a data set's first experiment."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

from pipeline.scoring.bootstrap import Estimate, Statistics, estimate, estimate_difference
from pipeline.scoring.statistics import from_json
from pipeline.workflow.paths import SPLITS

MEANS = ("num_distinct", "novel_share", "mean_words")  # numbers that describe captions, averaged over seeds


def compare(
    scores: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], num_resamples: int
) -> dict[str, list[dict[str, Any]]]:
    """Compare the experiments of one data set.

    Args:
        scores: Experiment to split to the content of each seed's scores.json. The others are compared with the first
            experiment that has scores of the split.
        num_resamples: Number of resamples of the videos, and of the seeds where there are several.

    Returns:
        For each split that has scores, the test split first, a row for each experiment: `experiment` (its name),
        `num_seeds`, `cells` (for each metric what `metric_cell` returns), the means over seeds that `MEANS` names, and
        the least `num_covered` and `num_videos` of the seeds.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for split in reversed(SPLITS):
        there = {name: splits[split] for name, splits in scores.items() if split in splits}
        statistics = {name: [from_json(seed["statistics"]) for seed in seeds] for name, seeds in there.items()}
        metrics = {name: [seed["metrics"] for seed in seeds] for name, seeds in there.items()}
        cells = compare_metrics(statistics, metrics, num_resamples)
        for name, seeds in there.items():
            described = {key: fmean(seed[key] for seed in seeds) for key in MEANS}
            described |= {key: min(seed[key] for seed in seeds) for key in ("num_covered", "num_videos")}
            row = {"experiment": name, "num_seeds": len(seeds), "cells": cells[name], **described}
            rows.setdefault(split, []).append(row)
    return rows


def compare_metrics(
    statistics: Mapping[str, Sequence[Statistics]],
    metrics: Mapping[str, Sequence[Mapping[str, float]]],
    num_resamples: int,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Make the table cells of experiments that are compared with the first of them.

    Args:
        statistics: For each experiment those of each seed.
        metrics: For each experiment the metrics of each seed.
        num_resamples: Number of resamples of the videos, and of the seeds where there are several.

    Returns:
        Experiment to metric to what `metric_cell` returns.
    """
    found = {}
    first = next(iter(statistics), None)
    for name, seeds in statistics.items():
        own = estimate(seeds, num_resamples)
        differences: dict[str, Estimate] = {}
        if name != first and first is not None:
            differences = estimate_difference(seeds, statistics[first], num_resamples)
        found[name] = {
            metric: metric_cell([seed[metric] for seed in metrics[name]], own[metric], differences.get(metric))
            for metric in own
        }
    return found


def all_differences(
    scores: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]], split: str, num_resamples: int
) -> list[dict[str, Any]]:
    """Estimate the differences of each two experiments of a data set, so that a reader may choose any two.

    Args:
        scores: Experiment to split to the content of each seed's scores.json.
        split: The split.
        num_resamples: Number of resamples of the videos, and of the seeds where there are several.

    Returns:
        For each two experiments that share a video `one`, `other` and `cells`: metric to the difference of `one` to
        `other` and its interval, which is None for too few videos.
    """
    there = {name: [from_json(seed["statistics"]) for seed in s[split]] for name, s in scores.items() if split in s}
    return differences_of(there, num_resamples)


def differences_of(statistics: Mapping[str, Sequence[Statistics]], num_resamples: int) -> list[dict[str, Any]]:
    """The same as `all_differences`, of the statistics of each experiment's seeds."""
    found = []
    for (one, of_one), (other, of_other) in combinations(statistics.items(), 2):
        cells = {metric: tuple(d) for metric, d in estimate_difference(of_one, of_other, num_resamples).items()}
        if cells:
            found.append({"one": one, "other": other, "cells": cells})
    return found


def metric_cell(values: Sequence[float], own: Estimate, difference: Estimate | None) -> dict[str, Any]:
    """Make the table cell of one metric of one experiment.

    Args:
        values: The metric of each seed.
        own: The metric's mean over seeds, with its interval.
        difference: Difference of the metric to that of the first experiment, with its interval, if there is one.

    Returns:
        `value`, the mean over seeds; `values`, those of the seeds; `spread`, their standard deviation (with N - 1; None
        for one seed); `interval`; and `difference` (None for the first experiment itself, and where the two share no
        video).
    """
    return {
        "value": fmean(values),
        "values": list(values),
        "spread": stdev(values) if len(values) > 1 else None,
        "interval": own.interval,
        "difference": difference,
    }
