"""Describe for the score table what no experiment here has trained: other systems, floors and a ceiling."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.artifact import read_json
from pipeline.config import ReportSettings
from pipeline.config.report import PublishedCaptionsSettings
from pipeline.report.artifacts import ByKind, read_by_experiment
from pipeline.report.comparison import compare_metrics
from pipeline.scoring import clip_scores
from pipeline.scoring.bootstrap import estimate
from pipeline.scoring.statistics import METRICS, from_json
from pipeline.workflow.paths import SPLITS


def describe_external(
    generated: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Describe the experiments whose captions another system made.

    Args:
        generated: Experiment to split to the content of its captions.json.
        config: The whole configuration.

    Returns:
        Experiment to its settings, with `files`: split to what its captions.json says of the file (`file`, `form`),
        its `notes`, and how many videos are `captioned` and `missing`.
    """
    found = {}
    for name, splits in generated.items():
        entry = config["experiments"][name]
        if entry["kind"] == "external":
            files = {
                split: content["imported"]
                | {"notes": content["notes"], "captioned": len(content["captions"]), "missing": len(content["missing"])}
                for split, content in splits.items()
            }
            found[name] = {**entry, "files": files}
    return found


def describe_bounds(found: ByKind, num_resamples: int) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Read the floors and ceilings of data sets, and compute their intervals.

    Args:
        found: The artifacts by kind.
        num_resamples: Number of resamples of the videos.

    Returns:
        Data set to split to rows, each with `kind`, `words` (what it is), `cells` (for each metric `value` and
        `interval`), `num_covered` and `num_videos`.
    """
    bounds: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for located in found["bounds"]:
        content = read_json(located.path, ["rows", "best"], "score_bounds")
        rows = []
        for row in content["rows"]:
            estimates = estimate([from_json(row["statistics"])], num_resamples)
            cells = {
                metric: {"value": row["metrics"][metric], "interval": estimates[metric].interval} for metric in METRICS
            }
            kept = {key: row[key] for key in ("kind", "num_covered", "num_videos")}
            rows.append(kept | {"cells": cells, "words": words_of(row, content["best"])})
        bounds.setdefault(located.names["dataset"], {})[located.names["split"]] = rows
    return bounds


def describe_clip_scores(
    found: ByKind, config: Mapping[str, Any], settings: ReportSettings, trials: Sequence[str]
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Compare the scores without references of the experiments on each data set.

    Args:
        found: The artifacts by kind.
        config: The whole configuration.
        settings: How often scores are resampled, and which scores there are.
        trials: Names of all trials, in the order of the page.

    Returns:
        Data set to split to a row for each experiment: `experiment`, `cells` (see `compare_metrics`), `num_covered`,
        `num_videos` and `notes`.
    """
    keys = ["metrics", "by_video", "num_covered", "num_videos", "notes"]
    scored = read_by_experiment(found["clip_scores"], keys, "score_clip", trials)
    names = clip_metrics(settings)
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    datasets = {config["experiments"][name]["dataset"] for name in scored}
    for dataset in sorted(datasets):
        own = {name: splits for name, splits in scored.items() if config["experiments"][name]["dataset"] == dataset}
        for split in reversed(SPLITS):
            there = {name: splits[split] for name, splits in own.items() if split in splits}
            statistics = {
                name: [clip_scores.from_json(seed["by_video"], names) for seed in seeds]
                for name, seeds in there.items()
            }
            metrics = {name: [seed["metrics"] for seed in seeds] for name, seeds in there.items()}
            cells = compare_metrics(statistics, metrics, settings.resamples)
            found_rows = [
                {key: min(seed[key] for seed in seeds) for key in ("num_covered", "num_videos")}
                | {"experiment": name, "cells": cells[name], "notes": seeds[0]["notes"]}
                for name, seeds in there.items()
            ]
            if found_rows:
                rows.setdefault(dataset, {})[split] = found_rows
    return rows


def clip_metrics(settings: ReportSettings) -> tuple[str, ...]:
    """The names of the scores without references that the report asks for; none if it asks for none."""
    return () if settings.clip_scores is None else clip_scores.METRICS[settings.clip_scores.metric]


def words_of(row: Mapping[str, Any], best: str | None) -> str:
    """Say what a row of `score_bounds` is; `best` is the trial whose captions are given to other videos."""
    match row["name"]:
        case "commonest":
            return f"the commonest training caption for every video: {row['told']}"
        case "others":
            return f"captions of {best}, each at another video"
        case _:
            return "one reference of each video against its others"


def published_captions(settings: ReportSettings, dataset: str) -> list[dict[str, Any]]:
    """The published figures of caption metrics on a data set, divided by 100, the best CIDEr first."""
    rows = [
        row.model_dump() | {"metrics": {metric: value / 100 for metric, value in row.metrics.items()}}
        for row in settings.published
        if isinstance(row, PublishedCaptionsSettings) and row.dataset == dataset
    ]
    return sorted(rows, key=lambda row: -row["metrics"].get("CIDEr", 0.0))
