"""Gather the captions and splits of a data set."""

import sys
from pathlib import Path

from pipeline.artifact import read_json, write_json
from pipeline.config import DatasetSettings, FolderSettings, ShapesSettings
from pipeline.datasets import folder_captions, shapes


def run(out: Path, settings: DatasetSettings, videos: list[Path], made: list[Path]) -> None:
    """Write captions and splits of all the shards.

    Args:
        out: JSON to write: `captions` (texts by video id) and `splits` (ids of train, val and test).
        settings: Settings of the data set.
        videos: The video tables of all shards.
        made: The lists of generated videos of all shards (`shapes`); nothing for other data sets.

    Raises:
        PipelineError: if the captions cannot be read or do not fit the videos.
    """
    ids = [video["id"] for table in videos for video in read_json(table, ["videos"], "index_videos")["videos"]]
    match settings:
        case FolderSettings():
            captions, splits = folder_captions.read_captions(settings, ids)
        case ShapesSettings():
            captions, splits = shapes.read_captions(made)
    write_json(out, {"captions": captions, "splits": splits})
    num_captions = sum(len(texts) for texts in captions.values())
    sizes = ", ".join(f"{split} {len(members)}" for split, members in splits.items())
    print(f"{len(ids)} videos, {len(captions)} of them with {num_captions} captions; {sizes}")
    for split, members in splits.items():
        if captions and not members:
            print(f"warning: no video in split {split}: name splits in the captions file", file=sys.stderr)
