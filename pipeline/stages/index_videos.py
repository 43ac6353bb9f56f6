"""List the videos of one shard: id, path below the data set's folder, size."""

from pathlib import Path
from typing import Any

from pipeline import readers
from pipeline.artifact import write_json
from pipeline.datasets import shapes
from pipeline.datasets.folder import root_of
from pipeline.errors import PipelineError
from pipeline.shards import shard_of


def run(
    out: Path, shard: int, shards: int, kind: str, made: list[Path], source: list[Path], mapping: list[Path]
) -> None:
    """Write the video table of one shard.

    Args:
        out: JSON to write: `root` (a folder) and `videos` (id, path below root and size in bytes, by id).
        shard: Number of the shard, from 0.
        shards: How many there are.
        kind: Of the data set.
        made: The list of generated videos of this shard (`shapes`); nothing for other data sets.
        source: The folder or list file of videos; nothing where they are generated. No other setting of the data set
            but `mapping` comes here: a new file of captions must not decode the videos again.
        mapping: The file that gives clips their ids (`msvd`); nothing where they are called like their files.

    Raises:
        PipelineError: if the folder is missing or empty, or the list does not fit.
    """
    if len(made) + len(source) != 1:
        raise PipelineError(
            f"shard {shard}: one --made list or one --source is expected, not {len(made) + len(source)}"
        )
    if made:
        table = shapes_table(made[0])
    else:
        table = brought_table(kind, source[0], mapping[0] if mapping else None, shard, shards)
    write_json(out, table)
    print(f"shard {shard}: {len(table['videos'])} videos, {sum(v['size'] for v in table['videos']) / 1e6:.1f} MB")


def brought_table(kind: str, source: Path, mapping: Path | None, shard: int, shards: int) -> dict[str, Any]:
    """The videos that the user brings, of them those that fall in one shard."""
    videos = [
        {"id": video.id, "path": video.path, "size": video.size}
        for video in readers.list_videos(kind, source, mapping)
        if shard_of(video.id, shards) == shard
    ]
    return {"root": root_of(source).as_posix(), "videos": videos}


def shapes_table(made: Path) -> dict[str, Any]:
    """The generated videos of one shard. Their digests stand in the table: a change of any file is seen downstream."""
    videos = [
        {"id": video["id"], "path": video["file"], "size": video["size"], "sha256": video["sha256"]}
        for video in shapes.read_list(made)
    ]
    return {"root": made.parent.as_posix(), "videos": videos}
