"""Group the classes of a data set, one group for each expert of TSTL.

Groups follow one another, are listed in a file, or hold what a trained recognizer confuses on the validation split.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.artifact import read, write_json
from pipeline.config import ConfusedGroupsSettings, GroupFileSettings, GroupsSettings
from pipeline.errors import PipelineError
from pipeline.recognition.grouping import (
    Listed,
    confused,
    confusion_of,
    consecutive,
    group_names,
    listed,
    require_clips,
    require_division,
)
from pipeline.recognition.labels import Labels, read_labels
from pipeline.recognition.scored_clips import recognized_of, require_classes
from pipeline.schemas import LOGITS


def run(*, labels: Path, file: list[Path], logits: list[Path], out: Path, settings: GroupsSettings) -> None:
    """Write the group of each class.

    Args:
        labels: The data set's labels.json: classes, labels and splits.
        file: The file of `kind: file` (JSON); nothing for other kinds.
        logits: The logits of a recognizer for the validation split, of `kind: confusions`; nothing for other kinds.
        out: JSON to write: `groups` (for the data set's head the number of each class's group, from 0, by the class's
            name) and `names` (a name for each group).
        settings: How classes are grouped.

    Raises:
        PipelineError: The data set has several heads, the groups do not hold each of its classes once, there are more
            groups than classes, a group has training clips of fewer than two classes, or there is nothing that could
            be confused.
    """
    known = read_labels(labels)
    (head, names), *more = known.heads.items()
    if more:
        raise PipelineError(
            f"{labels}: groups are of the classes of one head, and here are {', '.join(known.heads)}: TSTL has no "
            "selector for several"
        )
    where = str(file[0]) if file else f"groups of {labels}"
    groups = grouped(settings, known, file, logits)
    require_division(groups, names, where)
    if len(groups) > 1:
        clips = Counter(known.index.labels[clip_id][0] for clip_id in known.split("train"))
        require_clips(groups, names, clips, where)
    told = group_names(groups, names)
    numbers = {names[one]: number for number, group in enumerate(groups) for one in group}
    write_json(out, {"groups": {head: numbers}, "names": told})
    print(f"{len(names)} classes in {len(groups)} groups: {'; '.join(told)}")


def grouped(settings: GroupsSettings, labels: Labels, file: list[Path], logits: list[Path]) -> Listed:
    """The classes of each group, as the settings say; PipelineError as `run` says."""
    (names,) = labels.heads.values()
    if isinstance(settings, GroupFileSettings):
        return read_listed(file[0], names)
    if settings.number > len(names):
        raise PipelineError(
            f"groups: number: {settings.number} groups of {len(names)} classes: there are no more than {len(names)}"
        )
    if isinstance(settings, ConfusedGroupsSettings):
        return confused(confusion_of(validated(logits[0], labels), len(names)), settings.number)
    return consecutive(len(names), settings.number)


def read_listed(path: Path, names: list[str]) -> Listed:
    """Read a file of groups; PipelineError if it is missing, or lists something else than these classes."""
    try:
        return listed(json.loads(path.read_text(encoding="utf-8")), names)
    except (OSError, ValueError, RecursionError) as error:
        raise PipelineError(f"{path}: {str(error).splitlines()[0]}: see `file` of groups in docs/tstl.md") from error


def validated(path: Path, labels: Labels) -> list[tuple[int, Any]]:
    """Class and logits of each recognized clip of the validation split."""
    store = read(path, LOGITS)
    recognized = recognized_of(store, labels, "val")
    require_classes(store, sum(labels.widths.values()), labels.path)
    return [(labels.index.labels[clip_id][0], store.video(clip_id, ["logits"])["logits"]) for clip_id in recognized]
