"""List the clips of one shard: id, path below the data set's folder, size, and interval if it is a part of a file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import write_json
from pipeline.artifact.video_table import table_entry
from pipeline.config import ClipForm
from pipeline.datasets import readers
from pipeline.datasets.frame_folders import FrameFolder
from pipeline.datasets.listing import Video, root_of
from pipeline.datasets.sharding import shard_of
from pipeline.errors import PipelineError


def run(
    out: Path,
    shard: int,
    shards: int,
    kind: str,
    made: list[Path],
    source: list[Path],
    mapping: list[Path],
    form: ClipForm | None = None,
) -> None:
    """Write the video table of one shard.

    Args:
        out: JSON to write: `root` (a folder) and `videos` (a list sorted by id: id, path below root and size in bytes;
            `start` and `stop` in seconds where a clip is an interval of its file; `pattern`, `first`, `frames` and
            `lacking` where it is a folder of frames; sha256 where it was generated).
        shard: Number of the shard, from 0.
        shards: Number of shards of the data set.
        kind: Kind of the data set.
        made: The list of generated videos of this shard (`shapes`); nothing for other data sets.
        source: The folder, list file or table of clips; nothing where videos are generated. Besides it the stage reads
            `mapping` alone of the data set's settings, so that a new file of captions does not decode the videos again.
        mapping: The file that gives clips their ids (`msvd`), or the files that name the clips (`dense_captions`,
            `labelled_list`, `epic_kitchens`); nothing where clips are files, and ids come from their names.
        form: How the files of frames are called, and how lists of clips are written, where that is needed.

    Raises:
        PipelineError: if the folder is missing or empty, the list does not fit, or there is not exactly one list of
            generated videos or source.
    """
    if len(made) + len(source) != 1:
        raise PipelineError(
            f"shard {shard}: one --made list or one --source is expected, not {len(made) + len(source)}"
        )
    table = shapes_table(made[0]) if made else brought_table(kind, source[0], mapping, shard, shards, form)
    write_json(out, table)
    sizes = {video["path"]: video["size"] for video in table["videos"]}  # counts a file of several clips once
    print(f"shard {shard}: {len(table['videos'])} videos, {sum(sizes.values()) / 1e6:.1f} MB")


def brought_table(
    kind: str, source: Path, mapping: Sequence[Path], shard: int, shards: int, form: ClipForm | None
) -> dict[str, Any]:
    """Make the table of those of the user's videos that belong to one shard.

    Args:
        kind: Kind of the data set.
        source: The folder, list file or table of clips.
        mapping: The files that give clips their ids or intervals, if there are any.
        shard: Number of the shard, from 0.
        shards: Number of shards of the data set.
        form: How files of frames and lists of clips are written.

    Raises:
        PipelineError: if the videos cannot be listed.
    """
    listed = readers.list_videos(kind, source, mapping[0] if mapping else None, mapping, form)
    videos = [video for video in listed if shard_of(video.id, shards) == shard]
    root, paths = below_one_folder(root_of(source), [video.path for video in videos])
    return {"root": root, "videos": [_entry(video, path) for video, path in zip(videos, paths, strict=True)]}


def _entry(video: Video, path: str) -> dict[str, Any]:
    if isinstance(video, FrameFolder):
        return table_entry(video.id, path, video.size, None, video.frames, video.lacking)
    return table_entry(video.id, path, video.size, video.interval)


def below_one_folder(root: Path, paths: Sequence[str]) -> tuple[str, list[str]]:
    """Choose a root such that no path of the table leads out of it.

    Args:
        root: The folder that relative paths start at; it is kept, unless a list file names files elsewhere.
        paths: Paths of the files: relative to `root`, perhaps by `..`, or absolute.

    Returns:
        The root, which is a folder above all files, and the paths relative to it.
    """
    if not any(path.startswith(("/", "../")) for path in paths):
        return root.as_posix(), list(paths)
    files = [os.path.normpath(root / path) for path in paths]
    if any(file.startswith(("/", "../")) for file in files):
        files = [os.path.abspath(file) for file in files]  # noqa: PTH100, resolving would follow links
    common = os.path.commonpath([os.path.dirname(file) for file in files]) or "."  # noqa: PTH120
    return common, [os.path.relpath(file, common) for file in files]


def shapes_table(made: Path) -> dict[str, Any]:
    """Make the table of the generated videos of one shard; with their digests in it, later stages see every change."""
    videos = [
        {"id": video["id"], "path": video["file"], "size": video["size"], "sha256": video["sha256"]}
        for video in readers.read_made(made)
    ]
    return {"root": made.parent.as_posix(), "videos": videos}
