"""The clips of a split with their labels, without their pixels and without torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelledClips:
    """The clips of a split that have labels and can be read.

    Attributes:
        ids: Ids of the clips.
        labels: The classes of each clip, one a head.
        flips: For each head, the class of every class's mirrored clips; None where no class changes, or none is asked.
        groups: The group of each class, where groups are learned in place of classes (TSTL); None elsewhere.
    """

    ids: list[str]
    labels: list[list[int]]
    flips: list[list[int]] | None = None
    groups: list[int] | None = None

    def labels_of(self, number: int, is_mirrored: bool) -> list[int]:
        """What is learned of a clip, or of its mirror image: its classes, or their groups."""
        labels = self.labels[number]
        if is_mirrored and self.flips is not None:
            labels = [flip[label] for flip, label in zip(self.flips, labels, strict=True)]
        return labels if self.groups is None else [self.groups[label] for label in labels]
