"""Describe recognition experiments for the report: accuracies, views, classes, confusions and clips."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.artifact.clip_store import ClipStore
from pipeline.artifact.label_index import LabelIndex, read_label_index
from pipeline.config import PublishedSettings, ReportSettings
from pipeline.jobs.progress import track
from pipeline.report.artifacts import ByKind, of_first_seed, read_by_experiment
from pipeline.report.benchmark_splits import over_splits
from pipeline.report.comparison import compare_metrics, differences_of
from pipeline.report.epic import epic_tables
from pipeline.report.frame_strips import strip_of
from pipeline.report.pictures import write_picture
from pipeline.report.regions import describe_regions
from pipeline.report.routing import describe_routing, describe_vectors
from pipeline.report.videos import headline
from pipeline.scoring.accuracy import hits_from_json
from pipeline.scoring.tables import inert
from pipeline.workflow.paths import SPLITS, Located
from pipeline.workflow.shown import shown_split, spread
from pipeline.workflow.splits import decoded_as
from pipeline.workflow.trials import experiment_of

KEYS = [
    *("metrics", "merged_by", "merged_by_logits", "merged_by_softmax", "num_videos", "num_covered", "by_views"),
    *("confusions", "statistics", "notes"),
]
NUMBERS_OF_VIEWS = 8  # most columns of the table of numbers of views
CONFUSED = 6  # pairs that are shown of each head of an experiment

BySplit = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]


@dataclass(frozen=True)
class Tables:
    """The tables that scoring wrote of each experiment's first seed, for the split that the page shows.

    Attributes:
        clips: Experiment to the rows of per_video.csv, by the id of the clip as it stands there.
        classes: Experiment to the rows of per_class.csv.
    """

    clips: dict[str, dict[str, dict[str, str]]]
    classes: dict[str, list[dict[str, str]]]


def describe_recognition(
    found: ByKind, config: Mapping[str, Any], settings: ReportSettings, trials: Sequence[str], folder: Path
) -> dict[str, dict[str, Any]]:
    """Make the page's sections of data sets that recognizers are trained on.

    Args:
        found: The artifacts by kind.
        config: The whole configuration.
        settings: How many clips the page shows, how often scores are resampled, and what others have published.
        trials: Names of all trials, in the order of the page.
        folder: Folder of the page, beside which its pictures are written.

    Returns:
        For each data set `heads` (number of classes of each), `splits` (number of clips in each), `split` (the one that
        is shown), `num_seeds` (the most of an experiment), `missing` (ids of labelled clips without a file), `notes`,
        `metrics` (names), `comparison` (see `compare_recognizers`), `headline` (see `best_of`), `published`, `merged`,
        `views`, `classes`, `confusions`, `clips`, `routing` (see `describe_routing`), `vectors` (see
        `describe_vectors`), `regions`, `epic` (see `epic_tables`) and `over_splits` (the rows of `over_splits` whose
        last split is this data set).
    """
    of_recognizers = [f for f in found["scores"] if tells_classes(config["experiments"][_experiment(f)])]
    scored = read_by_experiment(of_recognizers, KEYS, "score_recognizer", trials)
    epic = read_by_experiment(found["epic_scores"], ["parts"], "score_epic", trials)
    rows = over_splits(scored, config)
    sections = {}
    for located in found["labels"]:
        name = located.names["dataset"]
        own = {e: splits for e, splits in scored.items() if config["experiments"][e]["dataset"] == name}
        if own:
            section = describe_labelled(name, read_label_index(located.path), own, found, config, settings, folder)
            of_split = {
                e: splits[section["split"]] for e, splits in epic.items() if e in own and section["split"] in splits
            }
            last = [row for row in rows if row["experiments"][-1] in own]
            sections[name] = section | {"epic": epic_tables(of_split), "over_splits": last}
    return sections


def tells_classes(experiment: Mapping[str, Any]) -> bool:
    """Whether an experiment tells the classes of all clips: no captioning does, and no part of TSTL by itself."""
    return experiment["kind"] == "routing" or (experiment["kind"] == "recognition" and experiment.get("part") is None)


def describe_labelled(
    name: str,
    labels: LabelIndex,
    scored: BySplit,
    found: ByKind,
    config: Mapping[str, Any],
    settings: ReportSettings,
    folder: Path,
) -> dict[str, Any]:
    """Make the section of one data set: see `describe_recognition`.

    Args:
        name: Name of the data set.
        labels: Its labels.
        scored: Experiment to split to the content of each seed's scores.json.
        found: The artifacts by kind.
        config: The whole configuration.
        settings: Those of the report.
        folder: Folder of the page.
    """
    split = shown_split(config["datasets"][name])
    shown = {e: splits[split] for e, splits in scored.items() if split in splits}
    tables = read_tables(found, list(shown), split)
    decoded = decoded_as(config, name)
    stores = {e: _clip_store(found["clips"], decoded, config["experiments"][e]["clipping"]) for e in shown}
    comparison = compare_recognizers(scored, settings.resamples)
    return {
        "heads": {head: len(classes) for head, classes in labels.heads.items()},
        "splits": {one: len(labels.splits.get(one, [])) for one in SPLITS},
        "split": split,
        "num_seeds": max(len(seeds) for splits in scored.values() for seeds in splits.values()),
        "missing": labels.missing,
        "notes": list(dict.fromkeys(note for seeds in shown.values() for seed in seeds for note in seed["notes"])),
        "metrics": metrics_of(scored),
        "comparison": comparison,
        "headline": best_of(comparison.get(split, []), shown, metrics_of(scored)[0], settings.resamples),
        "published": [
            row.model_dump() for row in settings.published if isinstance(row, PublishedSettings) and row.dataset == name
        ],
        "merged": merged_both_ways(shown),
        "views": by_views(shown),
        "classes": class_rows(tables.classes),
        "confusions": confused(of_first_seed(scored), split, stores, folder),
        "clips": list(show_recognized(labels, split, tables.clips, stores, settings.videos, folder)),
        "routing": describe_routing(shown),
        "vectors": describe_vectors(found, name, config, folder),
        "regions": describe_regions(found, name, config, stores, settings.resamples, folder),
    }


def compare_recognizers(scored: BySplit, num_resamples: int) -> dict[str, list[dict[str, Any]]]:
    """Compare the experiments of one data set.

    Args:
        scored: Experiment to split to the content of each seed's scores.json. The others are compared with the first
            experiment that has scores of the split.
        num_resamples: Number of resamples of the clips, and of the seeds where there are several.

    Returns:
        For each split that has scores, the test split first, a row for each experiment: `experiment` (its name),
        `num_seeds`, `cells` (see `compare_metrics`), and the least `num_covered` and `num_videos` of the seeds.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for split in reversed(SPLITS):
        there = {name: splits[split] for name, splits in scored.items() if split in splits}
        hits = {name: [hits_from_json(seed["statistics"]) for seed in seeds] for name, seeds in there.items()}
        cells = compare_metrics(hits, {e: [s["metrics"] for s in seeds] for e, seeds in there.items()}, num_resamples)
        for name, seeds in there.items():
            covered = {key: min(seed[key] for seed in seeds) for key in ("num_covered", "num_videos")}
            row = {"experiment": name, "num_seeds": len(seeds), "cells": cells[name], **covered}
            rows.setdefault(split, []).append(row)
    return rows


def best_of(
    rows: Sequence[Mapping[str, Any]], shown: Mapping[str, Sequence[Mapping[str, Any]]], metric: str, num_resamples: int
) -> dict[str, Any] | None:
    """Say which recognizer is best by a metric, and how far the next one is: see `headline`.

    Args:
        rows: The experiments of a split, as `compare_recognizers` gives them.
        shown: Experiment to the content of each seed's scores.json of that split.
        metric: Name of the metric.
        num_resamples: Number of resamples of the clips, and of the seeds where there are several.
    """
    first_two = sorted(rows, key=lambda row: -row["cells"][metric]["value"])[:2]
    hits = {e: [hits_from_json(s["statistics"]) for s in shown[e]] for e in (row["experiment"] for row in first_two)}
    return headline(rows, differences_of(hits, num_resamples), metric)


def metrics_of(scored: BySplit) -> list[str]:
    """Names of the metrics of a data set, in the order of its first scores."""
    first = next(iter(next(iter(scored.values())).values()))[0]
    return list(hits_from_json(first["statistics"]).metrics)


def merged_both_ways(shown: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The metrics of each experiment, means over seeds, with views merged by logits and by probabilities.

    Args:
        shown: Experiment to the content of each seed's scores.json of one split.

    Returns:
        For each experiment with several views `experiment`, `views` (their number), `logits` and `softmax` (metrics),
        and `counts`, which of the two its other figures are of.
    """
    return [
        {
            "experiment": name,
            "views": seeds[0]["by_views"][-1]["views"],
            "counts": seeds[0]["merged_by"],
            "logits": _means([seed["merged_by_logits"] for seed in seeds]),
            "softmax": _means([seed["merged_by_softmax"] for seed in seeds]),
        }
        for name, seeds in shown.items()
        if len(seeds[0]["by_views"]) > 1
    ]


def by_views(shown: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Accuracy by the number of views, means over seeds.

    Args:
        shown: Experiment to the content of each seed's scores.json of one split.

    Returns:
        `numbers` (of views, at most `NUMBERS_OF_VIEWS` of them, spread) and `rows`: for each experiment with several
        views and each of its top-1 metrics `experiment`, `metric` and `values` (None for more views than it has).
    """
    several = {name: seeds for name, seeds in shown.items() if len(seeds[0]["by_views"]) > 1}
    most = max((len(seeds[0]["by_views"]) for seeds in several.values()), default=0)
    numbers = sorted({round(1 + i * (most - 1) / (NUMBERS_OF_VIEWS - 1)) for i in range(NUMBERS_OF_VIEWS) if most})
    rows = []
    for name, seeds in several.items():
        for metric in (m for m in seeds[0]["metrics"] if m.endswith("top1")):
            of_seeds = zip(*(seed["by_views"] for seed in seeds), strict=True)
            found = [fmean(row["metrics"][metric] for row in of_number) for of_number in of_seeds]
            values = [found[number - 1] if number <= len(found) else None for number in numbers]
            rows.append({"experiment": name, "metric": metric, "values": values})
    return {"numbers": numbers, "rows": rows}


def read_tables(found: ByKind, experiments: Sequence[str], split: str) -> Tables:
    """Read what scoring wrote of the first seed of some experiments, for one split."""
    per_video = {f.names["trial"]: f for f in found["per_video"] if f.names["split"] == split}
    per_class = {f.names["trial"]: f for f in found["per_class"] if f.names["split"] == split}
    return Tables(
        {e: {row["video"]: row for row in _rows(per_video[e])} for e in experiments if e in per_video},
        {e: _rows(per_class[e]) for e in experiments if e in per_class},
    )


def class_rows(classes: Mapping[str, Sequence[Mapping[str, str]]]) -> list[dict[str, Any]]:
    """Put the classes of all experiments side by side.

    Args:
        classes: Experiment to the rows of per_class.csv.

    Returns:
        For each class that has clips `head`, `name`, `clips` (their number) and `top1`: experiment to value, lower and
        upper end of its interval.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for experiment, table in classes.items():
        for row in table:
            if int(row["clips"]) == 0:
                continue
            known = {"head": row["head"], "name": row["class"], "clips": int(row["clips"]), "top1": {}}
            entry = rows.setdefault((row["head"], row["class"]), known)
            entry["top1"][experiment] = [float(row[key]) for key in ("top1", "top1_low", "top1_high")]
    return list(rows.values())


def confused(
    scored: Mapping[str, Mapping[str, Mapping[str, Any]]], split: str, stores: Mapping[str, ClipStore], folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """The pairs of classes that each experiment confuses most often, each with a strip of a clip.

    Args:
        scored: Experiment to split to the content of its first seed's scores.json.
        split: The split that is shown.
        stores: Experiment to its clips.
        folder: Folder of the page.

    Returns:
        Experiment to rows as scores.json has them, with `src`.
    """
    found = {}
    for name, splits in scored.items():
        pairs = splits.get(split, {}).get("confusions", [])
        heads = dict.fromkeys(pair["head"] for pair in pairs)
        first = [pair for head in heads for pair in [p for p in pairs if p["head"] == head][:CONFUSED]]
        strips = [write_picture(folder, strip_of(stores[name], pair["clip"]), ".jpg") for pair in first]
        found[name] = [pair | {"src": address} for pair, address in zip(first, strips, strict=True)]
    return found


def show_recognized(
    labels: LabelIndex,
    split: str,
    clips: Mapping[str, Mapping[str, Mapping[str, str]]],
    stores: Mapping[str, ClipStore],
    count: int,
    folder: Path,
) -> Iterable[dict[str, Any]]:
    """Show clips of a split at equal distances, whatever is told of them.

    Args:
        labels: The labels of the data set.
        split: The split that is shown.
        clips: Experiment to the rows of per_video.csv, by clip.
        stores: Experiment to its clips.
        count: Most clips that are shown.
        folder: Folder of the page.

    Yields:
        `id`, `src` (a strip), `labels` (head to class) and `told`: a row for each experiment and head, with
        `experiment`, `head`, `told`, `probability` and `rank` (of the right class, from 1).
    """
    there = [clip_id for clip_id in labels.splits.get(split, []) if any(inert(clip_id) in of for of in clips.values())]
    shown = spread(there, count)
    several = len(labels.heads) > 1
    for clip_id in track(shown, len(shown), "write_report: recognized clips"):
        told = []
        for experiment, of in clips.items():
            row = of.get(inert(clip_id), {})
            for head in labels.heads if row else ():
                before = f"{head}_" if several else ""
                entry = {"experiment": experiment, "head": head, "told": row[f"{before}told"]}
                sure = {"probability": float(row[f"{before}probability"]), "rank": int(row[f"{before}rank"])}
                told.append(entry | sure)
        names = {head: labels.heads[head][number] for head, number in labels.label_of(clip_id).items()}
        store = next(store for store in stores.values() if clip_id in store)
        strip = write_picture(folder, strip_of(store, clip_id), ".jpg")
        yield {"id": clip_id, "src": strip, "labels": names, "told": told}


def _clip_store(files: Sequence[Located], dataset: str, clipping: str) -> ClipStore:
    return ClipStore([f.path for f in files if f.names["dataset"] == dataset and f.names["clipping"] == clipping])


def _experiment(file: Located) -> str:
    return experiment_of(file.names["trial"])


def _means(of_seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {metric: fmean(seed[metric] for seed in of_seeds) for metric in of_seeds[0]}


def _rows(file: Located) -> list[dict[str, str]]:
    with file.path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))
