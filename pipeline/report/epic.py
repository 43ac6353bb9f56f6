"""Describe the scores of EPIC-Kitchens for the report: of all clips, of rare classes, and of unseen participants."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

METRICS = (
    *("verb_top1", "verb_top5", "noun_top1", "noun_top5", "action_top1", "action_top5"),
    *("cast_action_top1", "cast_action_top5"),
)


def epic_tables(scored: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Put the experiments on one data set side by side.

    Args:
        scored: Experiment to the content of each seed's epic_scores.json, of one split.

    Returns:
        For each of `all`, `tail` and `unseen` that is known and has clips `part`, `clips` (their number for `verb`,
        `noun` and `action`) and `rows`: for each experiment that has it `experiment` and `cells`, which have for each
        metric `value` (mean over seeds), `spread` (their standard deviation; None for one seed) and `values`; a cell
        without a clip is None.
    """
    tables = []
    for part in ("all", "tail", "unseen"):
        known = {name: [seed["parts"][part] for seed in seeds] for name, seeds in scored.items()}
        known = {name: parts for name, parts in known.items() if all(p and p["clips"]["action"] for p in parts)}
        if known:
            rows = [{"experiment": name, "cells": _cells(parts)} for name, parts in known.items()]
            tables.append({"part": part, "clips": next(iter(known.values()))[0]["clips"], "rows": rows})
    return tables


def _cells(parts: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any] | None]:
    return {metric: _cell([part[metric] for part in parts]) for metric in METRICS}


def _cell(values: Sequence[float | None]) -> dict[str, Any] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    spread = stdev(known) if len(known) > 1 else None
    return {"value": fmean(known), "spread": spread, "values": known, "interval": None, "difference": None}
