"""Video tables, which `index_videos` makes: the clips of a shard, each a whole video file or an interval of one.

This module alone knows how a table is laid out. What a table may hold is checked when it is read (`json_shapes`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifact.json_files import read_json
from pipeline.video.interval import Interval


@dataclass(frozen=True)
class Clip:
    """A clip of a data set.

    Attributes:
        id: Its name in every artifact.
        path: Path of its file below the table's root.
        file: Path of its file with the root.
        size: Bytes of the file when it was indexed.
        interval: The part of the file that it is; None for the whole file.
    """

    id: str
    path: str
    file: Path
    size: int
    interval: Interval | None


def read_clips(table: Path) -> dict[str, Clip]:
    """The clips of one shard, by id, in the table's order.

    Raises:
        ArtifactError: if the table is missing, or is not what `index_videos` writes.
    """
    content = read_json(table, ["root", "videos"], "index_videos")
    return {entry["id"]: _clip(content["root"], entry) for entry in content["videos"]}


def read_all_clips(tables: Iterable[Path]) -> dict[str, Clip]:
    """The clips of several shards, by id, in the order of the tables.

    Raises:
        ArtifactError: as `read_clips`.
    """
    return {clip.id: clip for table in tables for clip in read_clips(table).values()}


def _clip(root: str, entry: Mapping[str, Any]) -> Clip:
    is_part = "start" in entry or "stop" in entry
    interval = Interval(entry.get("start", 0.0), entry.get("stop")) if is_part else None
    return Clip(entry["id"], entry["path"], Path(root) / entry["path"], entry["size"], interval)


def table_entry(clip_id: str, path: str, size: int, interval: Interval | None) -> dict[str, Any]:
    """A clip's entry in a video table: `id`, `path`, `size`, and for an interval `start` and `stop` in seconds."""
    entry: dict[str, Any] = {"id": clip_id, "path": path, "size": size}
    return entry | ({} if interval is None else interval.as_json())


def total_size(clips: Iterable[Clip]) -> int:
    """Bytes of the files that some clips are in. A file with several of the clips counts once."""
    return sum({clip.file: clip.size for clip in clips}.values())
