"""The logits of a split's clips as scores are made of them: those that were recognized, beside their labels.

Shapes: V views of a clip, K classes of all heads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import Artifact, read
from pipeline.errors import PipelineError
from pipeline.recognition.labels import Labels, read_labels
from pipeline.recognition.views import Merging, merge
from pipeline.schemas import LOGITS

Views = NDArray[np.float32]


@dataclass(frozen=True)
class ScoredClips:
    """The clips of a split.

    Attributes:
        known: The labels of the data set.
        annotated: Number of labelled clips of the split, with or without a file.
        without_file: How many of them have no file.
        ids: Ids of the recognized clips.
        views: Their logits, `[V, K]` for each id.
        failed: The reason for each clip that has a file and was not recognized.
    """

    known: Labels
    annotated: int
    without_file: int
    ids: list[str]
    views: dict[str, Views]
    failed: dict[str, str]


def read_scored(logits: Path, labels: Path, split: str) -> ScoredClips:
    """Read the logits and labels of a split.

    Args:
        logits: The logits of the split's clips, by `recognize_videos`.
        labels: The data set's labels.json.
        split: Name of the split.

    Raises:
        PipelineError: No clip of the split was recognized, or the logits are of other classes.
    """
    known = read_labels(labels)
    store = read(logits, LOGITS)
    ids = known.split(split)
    recognized = set(store.ids)
    scored = [clip_id for clip_id in ids if clip_id in recognized]
    require_some(scored, store, known, split)
    views = {clip_id: store.video(clip_id, ["logits"])["logits"] for clip_id in scored}
    annotated = known.index.annotated.get(split, len(ids))
    failed = {clip_id: store.failed.get(clip_id, "not in logits") for clip_id in ids if clip_id not in recognized}
    return ScoredClips(known, annotated, annotated - len(ids), scored, views, failed)


def require_some(scored: Sequence[str], store: Artifact, labels: Labels, split: str) -> None:
    """Raise PipelineError unless some clips were recognized, as classes of this data set."""
    if not scored:
        raise PipelineError(
            f"{store.store}: none of the {len(labels.split(split))} clips of split '{split}' of {labels.path} was "
            "recognized: check the split and its clips' failures"
        )
    found, expected = store.shape("logits")[1], sum(labels.widths.values())
    if found != expected:
        raise PipelineError(
            f"{store.store}: logits of {found} classes, but {labels.path} has {expected}: run recognize_videos again"
        )


def merged_heads(logits_VK: Views, widths: Mapping[str, int], how: Merging) -> list[NDArray[np.float64]]:
    """One score for each class of each head.

    Args:
        logits_VK: Logits of a clip's views for the classes of all heads.
        widths: Number of classes of each head.
        how: `logits` or `softmax`: see `pipeline.recognition.views.merge`.
    """
    ends = np.cumsum(list(widths.values()))
    return [merge(own, how) for own in np.split(logits_VK, ends[:-1], axis=1)]


def outputs_of(merged: NDArray[np.float64], how: Merging) -> NDArray[np.float64]:
    """One output for each class, whose softmax is the class's probability.

    Args:
        merged: Scores of one head's classes: means of logits, or of probabilities, whose logarithms are the outputs.
        how: Which of the two they are.
    """
    return merged if how == "logits" else np.log(np.maximum(merged, np.finfo(np.float64).tiny))


def merging_of(text: str) -> Merging:
    """How views are merged, as a flag says it; PipelineError if there is no such way."""
    if text == "logits":
        return "logits"
    if text == "softmax":
        return "softmax"
    raise PipelineError(f"--merge {text}: expected logits or softmax")
