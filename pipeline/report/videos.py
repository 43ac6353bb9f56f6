"""Describe every video of the split that the page shows: captions side by side, scores, references, what went wrong."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median_low
from typing import Any

from pipeline.datasets.shapes.captions import read_caption
from pipeline.report.artifacts import ByKind
from pipeline.report.datasets import clips_of
from pipeline.report.folder import write_clips

METRIC = "CIDEr"


def show_videos(
    name: str,
    dataset: Mapping[str, Any],
    found: ByKind,
    scores: Mapping[str, Mapping[str, Any]],
    failures: Sequence[Mapping[str, str]],
    suspects: Sequence[Mapping[str, str]],
    explained: Mapping[str, str],
    folder: Path,
) -> dict[str, Any]:
    """Write the clips of a data set, and describe its videos.

    Args:
        name: Name of the data set.
        dataset: What `describe_datasets` says of it.
        found: The artifacts by kind.
        scores: Experiment to split to the content of its first seed's scores.json.
        failures: The videos that were left out.
        suspects: Those that look damaged.
        explained: Video to the address of its maps of words, which are shown over its clip.
        folder: Folder of the page.

    Returns:
        `media` (see `write_clips`), `rows` (see `describe_videos`) and `extremes`: the worst, the median and the best
        video of the best experiment, each with `id`, `cider`, `caption` and what `media` says of it.
    """
    of_split = {e: splits[dataset["split"]] for e, splits in scores.items() if dataset["split"] in splits}
    best = dataset["headline"]["best"]["experiment"] if dataset["headline"] and dataset["shown"] else ""
    cider = of_split.get(best, {}).get("cider_by_video", {})
    chosen = extremes(cider) if best in dataset["predictions"] else {}
    wanted = {*dataset["shown"], *chosen.values(), *explained}
    played = [i for i in dataset["ids"] if i in wanted]
    media = write_clips(folder, name, played, clips_of(found["videos"]).get(name, {}))
    left_out = {row["id"]: f"{row['stage']}: {row['reason']}" for row in failures if row["dataset"] == name}
    suspect = {row["id"]: f"{row['stage']}: {row['reason']}" for row in suspects if row["dataset"] == name}
    rows = describe_videos(dataset, of_split, media, left_out, suspect)
    return {
        "media": media,
        "rows": [row | ({"maps": explained[row["id"]]} if row["id"] in explained else {}) for row in rows],
        "extremes": {
            what: {"id": i, "cider": cider[i], "caption": dataset["predictions"][best][i], **media[i]}
            for what, i in chosen.items()
            if i in media
        },
    }


def describe_videos(
    described: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, Any]],
    media: Mapping[str, Mapping[str, str]],
    left_out: Mapping[str, str],
    suspect: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Make a row for every video of the split.

    Args:
        described: What `describe_dataset` says of the data set.
        scores: Experiment to the scores.json of its first seed for the split.
        media: Video to `clip` and `poster`, or `problem`, of those that the page plays.
        left_out: Video to the reason why it could not be used.
        suspect: Video to what was seen of its damage.

    Returns:
        For each video `id`, `captions` and `cider` (by experiment, in their order; None where there is none),
        `references`, and where they are known `clip`, `poster`, `problem`, `left_out` and `suspect`; of generated
        shapes `wrong`, too: for each experiment what `mistakes` says.
    """
    predictions = described["predictions"]
    of_video = {name: scores.get(name, {}).get("cider_by_video", {}) for name in predictions}
    rows = []
    for video_id in described["ids"]:
        row = {
            "id": video_id,
            "captions": [captions.get(video_id) for captions in predictions.values()],
            "cider": [_rounded(of_video[name].get(video_id)) for name in predictions],
            "references": described["references"].get(video_id, []),
            **media.get(video_id, {}),
        }
        if described.get("kind") == "shapes":
            row["wrong"] = [mistakes(caption, row["references"]) for caption in row["captions"]]
        told = {"left_out": left_out.get(video_id), "suspect": suspect.get(video_id)}
        rows.append(row | {what: reason for what, reason in told.items() if reason is not None})
    return rows


def mistakes(caption: str | None, references: Sequence[str]) -> list[str]:
    """What a caption of generated shapes says wrongly or not at all: of `colour`, `shape` and `action`, some or none.

    Args:
        caption: The caption; None where there is none, which says nothing wrongly.
        references: Those of the video. What they do not agree about cannot be told wrongly.
    """
    if caption is None:
        return []
    own, *others = [dict(read_caption(text).items()) for text in (caption, *references)]
    agreed = {key: {other[key] for other in others} for key in own}
    return [key for key, values in agreed.items() if len(values) == 1 and own[key] not in values]


def extremes(scored: Mapping[str, float]) -> dict[str, str]:
    """The videos with the worst, the median and the best score: `worst`, `median` and `best` to id.

    Of equal scores the first id counts; fewer than three videos have no extremes.
    """
    if len(scored) < 3:
        return {}
    order = sorted(scored, key=lambda video_id: (scored[video_id], video_id))
    middle = median_low(scored.values())
    best = max(order, key=lambda video_id: scored[video_id])
    median = next(video_id for video_id in order if scored[video_id] == middle)
    kept = {"worst": order[0], "median": median, "best": best}
    return kept if len(set(kept.values())) == 3 else {}


def headline(
    rows: Sequence[Mapping[str, Any]], differences: Sequence[Mapping[str, Any]], metric: str = METRIC
) -> dict[str, Any] | None:
    """Say which system is best and how far the next one is.

    Args:
        rows: The experiments of a split, as `compare` gives them.
        differences: Those of each pair, as `all_differences` gives them.
        metric: The metric that tells which is best.

    Returns:
        `best` (a row), `next` (a row, or None), `value` and `interval` of the difference (None where there is none) and
        `verdict`: "more than chance", "within chance" or "" where no interval is known. None without an experiment.
    """
    if not rows:
        return None
    order = sorted(rows, key=lambda row: -row["cells"][metric]["value"])
    told: dict[str, Any] = {"best": order[0], "next": None, "value": None, "interval": None, "verdict": ""}
    if len(order) > 1:
        told["next"] = order[1]
        one, other = order[0]["experiment"], order[1]["experiment"]
        for pair in differences:
            if {pair["one"], pair["other"]} == {one, other} and metric in pair["cells"]:
                value, interval = pair["cells"][metric]
                if pair["one"] == other:
                    value, interval = -value, interval and (-interval[1], -interval[0])
                told |= {"value": value, "interval": interval}
                if interval:
                    told["verdict"] = "more than chance" if interval[0] > 0 else "within chance"
    return told


def floor_reached(told: Mapping[str, Any] | None, bounds: Sequence[Mapping[str, Any]]) -> str | None:
    """Name the highest floor that the best system is not above.

    Args:
        told: What `headline` says of the split.
        bounds: The floors and ceilings of the split, as `describe_bounds` gives them.

    Returns:
        What the floor is, in words; None where the best system is above all of them, or where there is none.
    """
    if told is None:
        return None
    best = told["best"]["cells"][METRIC]["value"]
    floors = {row["words"]: row["cells"][METRIC]["value"] for row in bounds if row["kind"] == "floor"}
    reached = [words for words, value in floors.items() if value >= best]
    return max(reached, key=lambda words: floors[words], default=None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
