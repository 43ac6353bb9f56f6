"""Bring experiments together that are one recognizer on the splits of one benchmark, such as UCF101's three.

A benchmark's figure is the mean over its splits.
"""

import json
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

BySplit = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]


def over_splits(scored: BySplit, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Compute the mean and the standard deviation over the splits of a benchmark.

    Args:
        scored: Experiment to part (`test`, `val`) to the content of each seed's scores.json.
        config: The whole configuration. Data sets that have a number `split` and equal each other in kind, videos and
            annotations are one benchmark; experiments that differ in nothing but these data sets are one row.

    Returns:
        For each row with several splits `benchmark` (the kind of its data sets), `recognizer`, `part`, `splits` (their
        numbers), `experiments` (one a split), `num_seeds`, and `cells`: for each metric `value` (the mean over splits,
        each of which is a mean over seeds), `spread` (their standard deviation), `values`, and no `interval` and no
        `difference`.
    """
    rows: dict[str, dict[int, str]] = {}
    for name in scored:
        entry = config["experiments"][name]
        dataset = config["datasets"][entry["dataset"]]
        if isinstance(dataset.get("split"), int):
            same = {key: value for key, value in entry.items() if key != "dataset"}
            key = json.dumps([same, *(dataset[of] for of in ("kind", "videos", "annotations"))], sort_keys=True)
            rows.setdefault(key, {}).setdefault(dataset["split"], name)
    return [_row(splits, scored, config) for splits in rows.values() if len(splits) > 1]


def _row(splits: Mapping[int, str], scored: BySplit, config: Mapping[str, Any]) -> dict[str, Any]:
    numbers = sorted(splits)
    names = [splits[number] for number in numbers]
    part = "test" if all("test" in scored[name] for name in names) else "val"
    of_splits = [[seed["metrics"] for seed in scored[name][part]] for name in names]
    entry = config["experiments"][names[0]]
    cells = {}
    for metric in of_splits[0][0]:
        values = [fmean(seed[metric] for seed in seeds) for seeds in of_splits]
        cell = {"value": fmean(values), "spread": stdev(values), "values": values}
        cells[metric] = cell | {"interval": None, "difference": None}
    return {
        "benchmark": config["datasets"][entry["dataset"]]["kind"],
        "recognizer": entry.get("recognizer", entry["kind"]),
        "part": part,
        "splits": numbers,
        "experiments": names,
        "num_seeds": min(len(seeds) for seeds in of_splits),
        "cells": cells,
    }
