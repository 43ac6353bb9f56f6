"""The parts of TSTL: a selector learns the groups of classes, an expert of a group learns all classes from its clips.

The labels and clips of a part are made of those of the whole data set, by pure functions. A mirrored clip may be of a
class that is in another group. It keeps the class that it has in the mirror: to the selector it is a clip of that
class's group, and to an expert, which has all classes, a clip of a class that it is seldom shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config import PartSettings
from pipeline.errors import PipelineError
from pipeline.recognition.groups import HEAD, Groups, read_groups
from pipeline.recognition.labelled_clips import LabelledClips
from pipeline.recognition.labels import Labels


@dataclass(frozen=True)
class Part:
    """What a part learns.

    Attributes:
        groups: The groups of the data set's classes.
        group: The group of an expert; None for a selector.
    """

    groups: Groups
    group: int | None

    @property
    def is_selector(self) -> bool:
        """Whether the groups are learned."""
        return self.group is None


def read_part(settings: PartSettings | None, paths: Sequence[Path], labels: Labels) -> Part | None:
    """Read the groups of a part; None for the whole.

    Args:
        settings: Which part it is.
        paths: The groups.json; nothing for the whole.
        labels: The labels of the whole data set.

    Raises:
        PipelineError: if there is no such group, or the file groups other classes.
    """
    if settings is None:
        return None
    groups = read_groups(paths[0], labels)
    if settings.group is not None and settings.group >= len(groups.names):
        raise PipelineError(
            f"part: group: {settings.group}: {groups.path} has {len(groups.names)} groups, numbered from 0"
        )
    return Part(groups, settings.group)


def labels_of_part(labels: Labels, part: Part | None) -> Labels:
    """The labels by which a part is recognized and scored.

    Args:
        labels: The labels of the whole data set.
        part: The part; None for the whole.

    Returns:
        For a selector the same clips, with one head, of the groups; for an expert the clips of its group alone.
    """
    if part is None:
        return labels
    index, of_class = labels.index, part.groups.of_class
    if part.is_selector:
        numbers = {clip_id: [of_class[label] for label in own] for clip_id, own in index.labels.items()}
        heads: dict[str, list[str]] = {HEAD: part.groups.names}
        return Labels(labels.path, replace(index, heads=heads, labels=numbers, flips={HEAD: None}))
    splits = {
        split: [clip_id for clip_id in ids if of_class[index.labels[clip_id][0]] == part.group]
        for split, ids in index.splits.items()
    }
    annotated = {split: len(ids) for split, ids in splits.items()}  # of clips without a file the group is not known
    return Labels(labels.path, replace(index, splits=splits, annotated=annotated))


def clips_of_part(clips: LabelledClips, part: Part | None) -> LabelledClips:
    """The clips that a part learns from, of those of the whole data set."""
    if part is None:
        return clips
    if part.is_selector:
        return replace(clips, groups=part.groups.of_class)
    own = [number for number, labels in enumerate(clips.labels) if part.groups.of_class[labels[0]] == part.group]
    return replace(clips, ids=[clips.ids[i] for i in own], labels=[clips.labels[i] for i in own])


def require_two_classes(clips: LabelledClips, heads: Mapping[str, Sequence[str]], path: Path) -> None:
    """Raise PipelineError if all training clips have one class of a head. A head of one class has nothing to learn.

    Args:
        clips: The training clips.
        heads: Names of the classes of each head.
        path: Path of the labels, for the message.
    """
    told = [clips.labels_of(number, False) for number in range(len(clips.ids))]
    for place, (head, names) in enumerate(heads.items()):
        found = {labels[place] for labels in told}
        if len(found) == 1 and len(names) > 1:
            raise PipelineError(
                f"{path}: all {len(told)} training clips have the {head} {names[found.pop()]}, and a recognizer "
                "learns to tell two classes apart: check the labels, the splits and the clips that failed"
            )
