"""What is said of recognized clips: top-1, top-5, mean class accuracy, classes, confusions, numbers of views.

The views of a clip are merged twice, side by side: by the mean of their logits (RSTG, DyReg, TSM) and by the mean of
their probabilities (CAST). One of the two makes `metrics`, the tables and the confusions. A clip that has no logits is
wrong in no score: it is counted and listed, and `num_covered` says how many clips are scored.

Shapes: V views, K classes of a head.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import Artifact, write_json
from pipeline.errors import PipelineError
from pipeline.jobs.storage import replaced
from pipeline.recognition.labels import Labels
from pipeline.recognition.views import Merging, softmax
from pipeline.recognition.views import merge as merge_views
from pipeline.scoring.accuracy import Hits, rank_of, share_interval
from pipeline.scoring.tables import csv_text, inert

CONFUSED = 20  # pairs of classes that are listed
WAYS: tuple[Merging, ...] = get_args(Merging)
Views = NDArray[np.floating]

log = logging.getLogger(__name__)


class Told(NamedTuple):
    """A class that is told of a clip, by its number, and its probability."""

    label: int
    probability: float


class Scored(NamedTuple):
    """What is said of the clips of a split.

    Attributes:
        scores: The content of scores.json.
        per_video: The table of clips (CSV).
        per_class: The table of classes (CSV).
    """

    scores: dict[str, Any]
    per_video: str
    per_class: str


def score_clips(
    labels: Labels, split: str, views: Mapping[str, Views], failed: Mapping[str, str], merge: Merging
) -> Scored:
    """Score the recognized clips of a split.

    Args:
        labels: Classes, labels and splits.
        split: The split.
        views: Logits `[V, K]` of the recognized clips, for the classes of all heads.
        failed: The reason for each clip that was left out, as far as one is known.
        merge: How the views of a clip are merged for the scores that count.
    """
    ids = labels.split(split)
    scored = [clip_id for clip_id in ids if clip_id in views]
    merged = {how: [merged_heads(views[clip_id], labels.widths, how) for clip_id in scored] for how in WAYS}
    truth = [labels.index.labels[clip_id] for clip_id in scored]
    hits_by = {how: hits_of(scored, labels.widths, truth, heads) for how, heads in merged.items()}
    hits = hits_by[merge]
    told = told_of(merged[merge], merged["softmax"])
    annotated = labels.index.annotated.get(split, len(ids))
    scores = {
        "split": split,
        "metrics": hits.scores(),
        "merged_by": merge,
        **{f"merged_by_{how}": of.scores() for how, of in hits_by.items()},
        "num_videos": annotated,
        "num_covered": len(scored),
        "without_file": annotated - len(ids),
        "failed": {clip_id: failed.get(clip_id, "not in logits") for clip_id in ids if clip_id not in views},
        "by_views": by_views(scored, labels.widths, truth, views, merge),
        "confusions": confusions(scored, labels.heads, truth, told),
        "statistics": hits.to_json(),
        "notes": notes_on(labels, split, annotated - len(ids)),
    }
    return Scored(scores, clip_table(labels.heads, told, hits), class_table(labels.heads, hits))


def write_scored(scored: Scored, out: Path, per_video: Path, per_class: Path) -> None:
    """Write scores and tables, and say the notes and the metrics."""
    for path, text in ((per_video, scored.per_video), (per_class, scored.per_class)):
        with replaced(path) as new:
            new.write_text(text, encoding="utf-8")
    write_json(out, scored.scores)
    for note in scored.scores["notes"]:
        log.warning("%s", note)
    print(lines(scored.scores))


def recognized_of(store: Artifact, labels: Labels, split: str) -> list[str]:
    """The clips of a split that are in a store; PipelineError if there are none."""
    there = set(store.ids)
    found = [clip_id for clip_id in labels.split(split) if clip_id in there]
    if not found:
        raise PipelineError(
            f"{store.store}: none of the {len(labels.split(split))} clips of split '{split}' of {labels.path} was "
            "recognized: check the split and its clips' failures"
        )
    return found


def require_classes(store: Artifact, expected: int, path: Path) -> None:
    """Raise PipelineError unless the logits of a store are of so many classes, those of the labels of a path."""
    found = store.shape("logits")[1]
    if found != expected:
        raise PipelineError(
            f"{store.store}: logits of {found} classes, but {path} has {expected}: run recognize_videos again"
        )


def merged_heads(logits_VK: Views, widths: Mapping[str, int], how: Merging) -> list[NDArray[np.float64]]:
    """One score for each class of each head.

    Args:
        logits_VK: Logits of a clip's views for the classes of all heads.
        widths: Number of classes of each head.
        how: `logits` or `softmax`: see `pipeline.recognition.views.merge`.
    """
    ends = np.cumsum(list(widths.values()))
    return [merge_views(own, how) for own in np.split(logits_VK, ends[:-1], axis=1)]


def hits_of(
    ids: Sequence[str],
    widths: Mapping[str, int],
    truth: Sequence[Sequence[int]],
    merged: Sequence[Sequence[NDArray[np.float64]]],
) -> Hits:
    """The labels of clips and their ranks among the merged scores of every head."""
    ranks = [
        [rank_of(scores, label) for scores, label in zip(heads, labels, strict=True)]
        for heads, labels in zip(merged, truth, strict=True)
    ]
    return Hits(tuple(ids), dict(widths), np.array(truth, np.int64), np.array(ranks, np.int64))


def by_views(
    ids: Sequence[str],
    widths: Mapping[str, int],
    truth: Sequence[Sequence[int]],
    views: Mapping[str, Views],
    how: Merging,
) -> list[dict[str, Any]]:
    """The metrics with the first view of every clip, with the first two, and so on, by the sum of their scores."""
    most = min(len(logits_VK) for logits_VK in views.values())
    ends = np.cumsum(list(widths.values()))[:-1]
    sums = {clip_id: np.zeros(views[clip_id].shape[1]) for clip_id in ids}
    rows = []
    for number in range(most):
        for clip_id, sum_K in sums.items():
            one_K = views[clip_id][number]
            if how == "softmax":
                one_K = np.concatenate([softmax(own) for own in np.split(one_K, ends)])
            sum_K += one_K  # in place: sums of all numbers of views would take twice the logits' room
        merged = [np.split(sums[clip_id], ends) for clip_id in ids]
        rows.append({"views": number + 1, "metrics": hits_of(ids, widths, truth, merged).scores()})
    return rows


def told_of(
    merged: Sequence[Sequence[NDArray[np.float64]]], by_softmax: Sequence[Sequence[NDArray[np.float64]]]
) -> list[list[Told]]:
    """The class of each head that is told of each clip, by its merged scores, and its probability."""
    return [
        [Told(int(scores.argmax()), float(shares[scores.argmax()])) for scores, shares in zip(*heads, strict=True)]
        for heads in zip(merged, by_softmax, strict=True)
    ]


def confusions(
    ids: Sequence[str],
    heads: Mapping[str, Sequence[str]],
    truth: Sequence[Sequence[int]],
    told: Sequence[Sequence[Told]],
) -> list[dict[str, Any]]:
    """The pairs of classes of each head that are confused most often.

    Args:
        ids: Ids of the clips.
        heads: Names of the classes.
        truth: The clips' labels.
        told: What is told of them.

    Returns:
        For each pair `head`, `true`, `told`, `count`, `share` (of the clips of the true class) and `clip` (the id of
        the one for which the wrong class is likeliest), at most `CONFUSED` of each head, the most frequent ones first.
    """
    found = []
    for head, (name, classes) in enumerate(heads.items()):
        pairs: dict[tuple[int, int], list[tuple[float, str]]] = {}
        of_class = np.bincount([labels[head] for labels in truth], minlength=len(classes))
        for clip_id, labels, of_clip in zip(ids, truth, told, strict=True):
            if of_clip[head].label != labels[head]:
                pair = (labels[head], of_clip[head].label)
                pairs.setdefault(pair, []).append((-of_clip[head].probability, clip_id))
        for (true, other), clips in sorted(pairs.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:CONFUSED]:
            row = {"head": name, "true": classes[true], "told": classes[other], "count": len(clips)}
            found.append(row | {"share": len(clips) / int(of_class[true]), "clip": min(clips)[1]})
    return found


def clip_table(heads: Mapping[str, Sequence[str]], told: Sequence[Sequence[Told]], hits: Hits) -> str:
    """Write a CSV table with a line for each clip; see `run`. The columns of several heads begin with the head."""
    columns = ["video"]
    for name in heads:
        before = "" if len(heads) == 1 else f"{name}_"
        columns += [f"{before}{what}" for what in ("label", "told", "probability", "rank")]
    rows = []
    for number, (clip_id, of_clip) in enumerate(zip(hits.ids, told, strict=True)):
        row = [inert(clip_id)]
        for head, classes in enumerate(heads.values()):
            own = of_clip[head]
            row += [inert(classes[hits.labels_VK[number, head]]), inert(classes[own.label]), f"{own.probability:.6f}"]
            row.append(str(hits.ranks_VK[number, head] + 1))
        rows.append(row)
    return csv_text(columns, rows)


def class_table(heads: Mapping[str, Sequence[str]], hits: Hits) -> str:
    """Write a CSV table with a line for each class of each head; see `run`. A class without clips has no figures."""
    columns = ["head", "class", "clips", "top1", "top1_low", "top1_high", "top5", "top5_low", "top5_high"]
    rows = []
    for head, (name, classes) in enumerate(heads.items()):
        for number, label in enumerate(classes):
            ranks = hits.ranks_VK[hits.labels_VK[:, head] == number, head]
            row = [inert(name), inert(label), str(len(ranks))]
            for top in (1, 5):
                right = int((ranks < top).sum())
                figures = [right / len(ranks), *share_interval(right, len(ranks))] if len(ranks) else []
                row += [f"{figure:.6f}" for figure in figures] or [""] * 3
            rows.append(row)
    return csv_text(columns, rows)


def notes_on(labels: Labels, split: str, without_file: int) -> list[str]:
    """Say what a reader of the scores must know."""
    notes = list(labels.index.notes)
    if without_file:
        notes.append(f"{without_file} labelled clips of split {split} have no file and are not scored")
    return notes


def lines(scores: Mapping[str, Any]) -> str:
    """Format the scores as lines of text: the metrics, and how many clips they are of."""
    figures = ", ".join(f"{name} {value:.1%}" for name, value in scores["metrics"].items())
    views = scores["by_views"][-1]["views"]
    return f"{scores['split']}: {scores['num_covered']} of {scores['num_videos']} clips, {views} views each: {figures}"
