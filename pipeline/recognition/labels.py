"""The labels of a data set, as a recognizer learns them.

A data set has heads, such as verb and noun, and each clip has a class of every head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifact.label_index import LabelIndex, read_label_index
from pipeline.errors import PipelineError
from pipeline.workflow.paths import CHALLENGE


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
        """Ids of the clips of a split; PipelineError if one has no class of some head, as only a challenge's may."""
        ids = self.index.splits.get(name, [])
        for clip_id in ids if name != CHALLENGE else ():
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


def require_same_classes(trained: Mapping[str, Sequence[str]], labels: Labels, model: Path) -> None:
    """Raise PipelineError unless a model was trained with the classes of a data set, in their order."""
    if found := difference_of_classes(trained, labels.heads, str(labels.path)):
        raise PipelineError(f"{model}: {found}: give the labels that it was trained with, or train again")


def difference_of_classes(
    trained: Mapping[str, Sequence[str]], others: Mapping[str, Sequence[str]], whose: str
) -> str | None:
    """Say in what the classes of a model differ from others; None if they are the same in the same order.

    Args:
        trained: Names of the classes of each head of the model.
        others: Those that they should be.
        whose: The file that these are of.
    """
    for head in [*trained, *others]:
        own, other = trained.get(head, []), others.get(head, [])
        if len(own) != len(other):
            return f"the model has {len(own)} classes of {head}, but {whose} has {len(other)}"
        for number, (mine, theirs) in enumerate(zip(own, other, strict=True)):
            if mine != theirs:
                return (
                    f"class {number} of {head} is {mine} to the model, but {theirs} in {whose}: the order of classes "
                    "is part of a model"
                )
    if list(trained) != list(others):
        return f"heads {', '.join(trained)}, but {whose} has {', '.join(others)}"
    return None


def require_alphabetical(names: Sequence[str], whose: str, advice: str) -> None:
    """Raise PipelineError unless classes are in the order of published lists, which the head of a published file has.

    Args:
        names: Names of the classes, in the order of their numbers.
        whose: The file that the head is of.
        advice: What else can be done, as the end of the message.
    """
    if not names or list(names) != sorted(names):
        raise PipelineError(
            f"{whose} has its classes in alphabetical order, and those of the data set are in another: change its "
            f"label_order, or {advice}"
        )
