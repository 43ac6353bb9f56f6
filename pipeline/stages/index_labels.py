"""Gather the classes of a data set, the labels of its clips and their splits."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline.artifact import write_json
from pipeline.artifact.video_table import Clip, read_all_clips
from pipeline.config import DatasetSettings
from pipeline.datasets.annotated import shown
from pipeline.datasets.label_readers import read_labels
from pipeline.datasets.labelled import FoundLabels
from pipeline.errors import PipelineError
from pipeline.workflow.paths import SPLITS

log = logging.getLogger(__name__)


def run(
    out: Path,
    settings: DatasetSettings,
    videos: list[Path],
    made: list[Path],
    truth: list[Path],
    needed: Sequence[str] = (),
) -> None:
    """Write the classes, labels and splits of a data set, for the clips of all its shards.

    Args:
        out: JSON to write: `heads` (names of the classes of each head, in the order of their numbers; sorted by head),
            `labels` (by id of the clip a number for each head), `splits` (ids of the labelled clips in train, val and
            test; and in challenge, if there is one, ids of clips without labels), `missing` (ids that have a label and
            no file), `annotated` (number of labelled clips of each split, missing ones included), `flips` (for each
            head the class that each class becomes when its clips are mirrored, or null where they must not be),
            `groups` (by id what a clip was cut from, where that is known) and `notes` for the user.
        settings: Settings of the data set.
        videos: The video tables of all shards; nothing where clips are generated.
        made: The lists of generated clips of all shards (`shapes`, `sync_mnist`); nothing for other data sets.
        truth: What is true of the generated videos, of all shards (`shapes`); nothing for other data sets.
        needed: The splits that experiments are trained and scored on.

    Raises:
        PipelineError: if the data set has no labels, they cannot be read or do not fit the clips, or a split that
            experiments need has no labelled clip.
    """
    clips = read_all_clips(videos)
    found = read_labels(settings, clips, made, truth)
    found.notes.extend(lacking_frames(clips))
    require_splits(found, needed)
    write_json(out, asdict(found))
    heads = ", ".join(f"{len(names)} of {head}" for head, names in found.heads.items())
    sizes = ", ".join(f"{split} {len(members)}" for split, members in found.splits.items())
    print(f"{len(clips) or len(found.labels)} clips, {len(found.labels)} of them labelled; classes: {heads}; {sizes}")
    warnings = [f"labels, but no file: {shown(found.missing)}"] if found.missing else []
    if needed and "test" not in needed and found.splits["test"]:
        number = len(found.splits["test"])
        warnings.append(
            f"nothing is scored on {number} clips of split test, because the settings say that there is none"
        )
    for warning in [*warnings, *found.notes]:
        log.warning("%s", warning)


def require_splits(found: FoundLabels, needed: Sequence[str]) -> None:
    """Raise PipelineError, before anything is decoded or trained, if what is there cannot be learned from or scored.

    Each split that experiments need must have a clip, and that of training two classes.
    """
    empty = [split for split in needed if not found.splits[split]]
    counts = ", ".join(f"{split} {len(found.splits[split])} of {found.annotated.get(split, 0)}" for split in SPLITS)
    advice = (
        "; where there is no split for tests, say `test: null` (a folder: `splits: {test: 0}`), and scores are those "
        "of validation"
    )
    if empty:
        raise PipelineError(
            f"experiments on this data set need labelled clips of split {' and '.join(empty)}, and none is there "
            f"(clips of those labelled: {counts}): check where the splits come from{advice if 'test' in empty else ''}"
        )
    for number, head in enumerate(found.heads):
        used = {found.labels[clip][number] for clip in found.splits["train"]}
        if needed and len(used) == 1:
            name = found.heads[head][used.pop()]
            raise PipelineError(
                f"all training clips that are there are of one {head}, {name!r} (clips of those labelled: {counts}): "
                "two classes are the least that can be told apart"
            )


def lacking_frames(clips: Mapping[str, Clip]) -> list[str]:
    """A note about folders that lack frames, or none; which of them can be used is decided when they are decoded."""
    lacking = {clip.id: clip.lacking for clip in clips.values() if clip.lacking}
    if not lacking:
        return []
    return [f"{sum(lacking.values())} frames are missing, of {len(lacking)} clips: {shown(list(lacking))}"]
