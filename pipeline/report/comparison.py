"""Experiments side by side: each metric with its interval, and its difference to the first experiment of a data set."""

from collections.abc import Mapping
from typing import Any

from pipeline.scoring.bootstrap import Estimate, estimate, estimate_difference
from pipeline.scoring.statistics import METRICS, from_json
from pipeline.workflow.paths import SPLITS

DESCRIBED = ("num_covered", "num_videos", "num_distinct", "novel_share", "mean_words", "notes")


def compare(scores: Mapping[str, Mapping[str, Any]], num_resamples: int) -> dict[str, list[dict[str, Any]]]:
    """Compare the experiments of one data set.

    Args:
        scores: Experiment to split to the content of its scores.json; the first is what the others are compared with.
        num_resamples: Of the videos.

    Returns:
        For each split, the test split first, a row an experiment: its name, what its captions are like, and for each
        metric the figure with its interval and the difference to the first experiment (None for that one itself, and
        where the two share no video).
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for split in reversed(SPLITS):
        there = {name: splits[split] for name, splits in scores.items() if split in splits}
        statistics = {name: from_json(content["statistics"]) for name, content in there.items()}
        first = next(iter(there), None)
        for name, content in there.items():
            own = estimate(statistics[name], num_resamples)
            differences: dict[str, Estimate] = {}
            if name != first and first is not None:
                differences = estimate_difference(statistics[name], statistics[first], num_resamples)
            cells = {
                metric: {
                    "value": content["metrics"][metric],
                    "interval": own[metric].interval,
                    "difference": differences.get(metric),
                }
                for metric in METRICS
            }
            described = {key: content[key] for key in DESCRIBED}
            rows.setdefault(split, []).append({"experiment": name, "cells": cells, **described})
    return rows
