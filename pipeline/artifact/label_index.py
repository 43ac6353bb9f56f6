"""Labels of a data set, which `index_labels` makes, as later stages read them."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.artifact.json_files import read_json


@dataclass(frozen=True)
class LabelIndex:
    """The labels of a data set.

    Attributes:
        heads: Names of the classes of each head, in the order of their numbers; sorted by head.
        labels: Numbers of each clip's classes, one a head in the order of `heads`.
        splits: Sorted ids of the labelled clips of train, val and test; and of a challenge, if there is one, ids of
            clips without labels.
        missing: Sorted ids of the clips that have a label and no file.
        annotated: Number of labelled clips in each split, with or without a file.
        notes: Messages that the user should read.
        flips: For each head the class that each class becomes when its clips are mirrored; None where they must not be.
        groups: What a clip was cut from, for each clip of which this is known.
    """

    heads: dict[str, list[str]]
    labels: dict[str, list[int]]
    splits: dict[str, list[str]]
    missing: list[str]
    annotated: dict[str, int]
    notes: list[str]
    flips: dict[str, list[int] | None]
    groups: dict[str, str]

    def label_of(self, clip: str) -> dict[str, int]:
        """Number of a clip's class for each head."""
        return dict(zip(self.heads, self.labels[clip], strict=True))


def read_label_index(path: Path) -> LabelIndex:
    """Read and check the labels of a data set.

    Raises:
        ArtifactError: if the file is missing, or is not what `index_labels` writes.
    """
    keys = list(LabelIndex.__dataclass_fields__)
    content = read_json(path, keys, "index_labels")
    return LabelIndex(**{key: content[key] for key in keys})
