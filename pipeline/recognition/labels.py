"""The labels of a data set, as a recognizer learns them.

A data set has heads, such as verb and noun, and each clip has a class of every head.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifact.label_index import LabelIndex, read_label_index
from pipeline.errors import PipelineError
from pipeline.recognition.batches import LabelledClips
from pipeline.recognition.few_shot import few_shot


@dataclass(frozen=True)
class Labels:
    """The labels of a data set, and where they were read.

    Attributes:
        path: Path of the labels.json, for messages.
        index: What it holds.
    """

    path: Path
    index: LabelIndex

    @property
    def heads(self) -> dict[str, list[str]]:
        """Names of the classes of each head, in the order of their numbers."""
        return self.index.heads

    @property
    def widths(self) -> dict[str, int]:
        """Number of classes of each head."""
        return {head: len(names) for head, names in self.heads.items()}

    def split(self, name: str) -> list[str]:
        """Ids of the clips of a split; PipelineError if a clip has no class of every head."""
        ids = self.index.splits.get(name, [])
        for clip_id in ids:
            self._check(clip_id)
        return ids

    def _check(self, clip_id: str) -> None:
        given = self.index.labels.get(clip_id, [])
        if len(given) != len(self.heads):
            raise PipelineError(
                f"{self.path}: clip {clip_id} has {len(given)} labels, expected one for each of {', '.join(self.heads)}"
            )
        for (head, names), label in zip(self.heads.items(), given, strict=True):
            if not 0 <= label < len(names):
                raise PipelineError(
                    f"{self.path}: label {label} of clip {clip_id} is none of the {len(names)} classes of {head}, "
                    "which are numbered from 0: run index_labels again"
                )


def read_labels(path: Path) -> Labels:
    """Read a labels.json.

    Raises:
        ArtifactError: if it is missing, or is not what `index_labels` writes.
    """
    return Labels(path, read_label_index(path))


def training_clips(
    labels: Labels, known: Collection[str], per_class: int | None, flip: str, seed: int
) -> LabelledClips:
    """Gather the training clips that can be read.

    Args:
        labels: The labels of the data set.
        known: Ids of the clips that can be read.
        per_class: Number of clips of each class of the first head that are kept; None for all.
        flip: `flip` of the settings of the augmentation.
        seed: Seed of what is kept.

    Raises:
        PipelineError: if there are no clips, or all are of one class; or if clips shall be mirrored, and a class has no
            partner.
    """
    clips = labelled_clips(labels, "train", known)
    ids, numbers = clips.ids, clips.labels
    if per_class is not None:
        classes = {clip_id: labels.index.labels[clip_id][0] for clip_id in ids}
        ids = few_shot(classes, ids, per_class, seed)
        numbers = [labels.index.labels[clip_id] for clip_id in ids]
    for place, (head, names) in enumerate(labels.heads.items()):
        found = {label[place] for label in numbers}
        if len(found) == 1:
            raise PipelineError(
                f"{labels.path}: all {len(ids)} training clips have the {head} {names[found.pop()]}, and a recognizer "
                "learns to tell two classes apart: check the labels, the splits and the clips that failed"
            )
    return LabelledClips(ids, numbers, swaps(labels, flip))


def labelled_clips(labels: Labels, split: str, known: Collection[str]) -> LabelledClips:
    """Gather the clips of a split that have labels and can be read; PipelineError if there are none."""
    ids = [clip_id for clip_id in labels.split(split) if clip_id in known]
    if not ids:
        raise PipelineError(
            f"{labels.path}: none of the {len(labels.split(split))} clips of split '{split}' has both a label "
            "and frames, and training needs some; check the splits and the clips that failed"
        )
    return LabelledClips(ids, [labels.index.labels[clip_id] for clip_id in ids])


def swaps(labels: Labels, flip: str) -> list[list[int]] | None:
    """For each head the class of every class's mirrored clips; None unless `flip` is `swap_labels`.

    Raises:
        PipelineError: if a head has classes without a partner.
    """
    if flip != "swap_labels":
        return None
    found = []
    for head in labels.heads:
        partners = labels.index.flips.get(head)
        if partners is None:
            raise PipelineError(
                f"augmentation: flip: swap_labels: {labels.path} has classes of {head} with left or right in their "
                "names that have no mirrored partner: write flip: none"
            )
        found.append(partners)
    return found


def require_same_classes(trained: Mapping[str, Sequence[str]], labels: Labels, model: Path) -> None:
    """Raise PipelineError unless a model was trained with the classes of a data set, in their order."""
    for head in [*trained, *labels.heads]:
        own, other = trained.get(head, []), labels.heads.get(head, [])
        if list(own) == list(other):
            continue
        if len(own) != len(other):
            raise PipelineError(
                f"{model}: the model has {len(own)} classes of {head}, but {labels.path} has {len(other)}: give the "
                "labels that it was trained with, or train again"
            )
        number = next(i for i, (a, b) in enumerate(zip(own, other, strict=True)) if a != b)
        raise PipelineError(
            f"{model}: class {number} of {head} is {own[number]} to the model, but {other[number]} in {labels.path}: "
            "the order of classes is part of a model: give the labels that it was trained with, or train again"
        )
    if list(trained) != list(labels.heads):
        raise PipelineError(f"{model}: heads {', '.join(trained)}, but {labels.path} has {', '.join(labels.heads)}")
