"""Describe TSTL for the report: what selector and experts reach alone and together, and the vectors that heads see."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.report.artifacts import ByKind
from pipeline.report.pictures import write_picture


def describe_routing(shown: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Make the table of each routing experiment.

    Args:
        shown: Experiment to the content of each seed's scores.json of one split; those that route nothing are left out.

    Returns:
        For each routing experiment `experiment`, `rows` and `groups` (of the first seed, as `score_routing` writes
        them). There is a row for each rule, for both oracles and for the selector alone: `name`, `counts` (whether it
        makes the scores of the comparison), `top1` and `top5`, means over seeds.
    """
    found = []
    for name, seeds in shown.items():
        told = [seed["routing"] for seed in seeds if "routing" in seed]
        if not told:
            continue
        first = told[0]
        rows = [_row(rule, [one["rules"][rule] for one in told], rule == first["rule"]) for rule in first["rules"]]
        rows += [_row(part, [one[part] for one in told], False) for part in ("oracle", "oracle_product", "selector")]
        found.append({"experiment": name, "rows": rows, "groups": first["groups"]})
    return found


def describe_vectors(found: ByKind, dataset: str, config: Mapping[str, Any], folder: Path) -> list[dict[str, str]]:
    """Write the pictures of a data set's vectors beside the page in `folder`.

    Returns:
        For each picture `experiment`, `what` its colours are, and `src`.
    """
    pictures = []
    for file in found["embeddings"]:
        entry = config["experiments"][file.names["trial"]]
        if entry["dataset"] == dataset:
            is_selector = entry["part"] is not None and entry["part"]["group"] is None
            what = "group" if is_selector else "class"
            source = write_picture(folder, file.path.read_bytes(), ".png")
            pictures.append({"experiment": file.names["trial"], "what": what, "src": source})
    return pictures


def _row(name: str, metrics: Sequence[Mapping[str, float]], counts: bool) -> dict[str, Any]:
    return {"name": name, "counts": counts} | {top: fmean(one[top] for one in metrics) for top in ("top1", "top5")}
