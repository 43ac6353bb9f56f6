"""Gather the captions and splits of a data set."""

import logging
from dataclasses import asdict
from pathlib import Path

from pipeline.artifact import write_json
from pipeline.artifact.video_table import read_all_clips
from pipeline.config import DatasetSettings
from pipeline.datasets import readers
from pipeline.datasets.annotated import shown
from pipeline.datasets.caption_texts import clean_captions

log = logging.getLogger(__name__)


def run(out: Path, settings: DatasetSettings, videos: list[Path], made: list[Path]) -> None:
    """Write the captions and splits of a data set, for the videos of all its shards.

    Args:
        out: JSON to write: `captions` (texts by video id), `splits` (ids of the videos with captions in train, val and
            test), `missing` (ids that have captions and no file), `annotated` (number of videos of each split, missing
            ones included) and `notes` for the user.
        settings: Settings of the data set.
        videos: The video tables of all shards.
        made: The lists of generated videos of all shards (`shapes`); nothing for other data sets.

    Raises:
        PipelineError: if the captions cannot be read or do not fit the videos.
    """
    clips = read_all_clips(videos)
    cut_from = {clip.id: clip.file for clip in clips.values() if clip.interval is not None}
    found = clean_captions(readers.read_captions(settings, list(clips), made, cut_from))
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
    for warning in warnings:
        log.warning("%s", warning)
