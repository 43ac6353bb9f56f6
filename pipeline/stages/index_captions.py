"""Gather the captions and splits of a data set."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline.artifact import write_json
from pipeline.artifact.video_table import read_all_clips
from pipeline.config import DatasetSettings
from pipeline.datasets import readers
from pipeline.datasets.annotated import FoundClips, shown
from pipeline.datasets.caption_texts import clean_captions
from pipeline.errors import PipelineError
from pipeline.workflow.paths import SPLITS

log = logging.getLogger(__name__)


def run(out: Path, settings: DatasetSettings, videos: list[Path], made: list[Path], needed: Sequence[str] = ()) -> None:
    """Write the captions and splits of a data set, for the videos of all its shards.

    Args:
        out: JSON to write: `captions` (texts by video id), `splits` (ids of the videos with captions in train, val and
            test), `missing` (ids that have captions and no file), `annotated` (number of videos of each split, missing
            ones included) and `notes` for the user.
        settings: Settings of the data set.
        videos: The video tables of all shards.
        made: The lists of generated videos of all shards (`shapes`); nothing for other data sets.
        needed: The splits that experiments are trained and scored on.

    Raises:
        PipelineError: if the captions cannot be read or do not fit the videos, or a split that experiments need has no
            captioned video.
    """
    clips = read_all_clips(videos)
    cut_from = {clip.id: clip.file for clip in clips.values() if clip.interval is not None}
    found = clean_captions(readers.read_captions(settings, list(clips), made, cut_from))
    require_splits(found, needed)
    write_json(out, asdict(found))
    num_captions = sum(len(texts) for texts in found.captions.values())
    sizes = ", ".join(f"{split} {len(members)}" for split, members in found.splits.items())
    print(f"{len(clips)} videos, {len(found.captions)} of them with {num_captions} captions; {sizes}")
    warnings = [f"captions, but no file: {shown(found.missing)}"] if found.missing else []
    warnings += found.notes
    warnings += [
        f"no video in split {split}: check where the data set's splits come from"
        for split, members in found.splits.items()
        if found.captions and not members
    ]
    if needed and "test" not in needed and found.splits["test"]:
        number = len(found.splits["test"])
        warnings.append(f"nothing is scored on {number} videos of split test, to which the settings give a share of 0")
    for warning in warnings:
        log.warning("%s", warning)


def require_splits(found: FoundClips, needed: Sequence[str]) -> None:
    """Raise PipelineError, before anything is decoded or trained, if a split that experiments need has no video."""
    empty = [split for split in needed if not found.splits[split]]
    if not empty:
        return
    counts = ", ".join(f"{split} {len(found.splits[split])} of {found.annotated.get(split, 0)}" for split in SPLITS)
    advice = (
        "; where there is no split for tests, say `test: null` (a folder: `splits: {test: 0}`), and scores are those "
        "of validation"
    )
    raise PipelineError(
        f"experiments on this data set need videos of split {' and '.join(empty)}, and none is there with captions "
        f"(videos of those annotated: {counts}): check where the splits come from{advice if 'test' in empty else ''}"
    )
