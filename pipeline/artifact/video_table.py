"""Video tables, which `index_videos` makes: the clips of a shard.

A clip is a whole video file, an interval of one, or a folder of numbered frames or a run of these.

This module alone knows how a table is laid out. What a table may hold is checked when it is read (`json_shapes`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifact.json_files import read_json
from pipeline.video.frame_files import FrameFiles
from pipeline.video.interval import Interval


@dataclass(frozen=True)
class Clip:
    """A clip of a data set.

    Attributes:
        id: Its name in every artifact.
        path: Path of its file, or of the folder of its frames, below the table's root.
        file: The same path with the root.
        size: Bytes of the file when it was indexed; of a folder, those of all its frames.
        interval: The part of the file that it is; None for the whole file, and for a folder.
        frames: Which files of the folder are its frames; None where it is a file.
        lacking: How many frames that it should have the folder had not when it was indexed.
    """

    id: str
    path: str
    file: Path
    size: int
    interval: Interval | None
    frames: FrameFiles | None = None
    lacking: int = 0

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of frames, and no file."""
        return self.frames is not None


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
    frames = FrameFiles(entry["pattern"], entry.get("first"), entry.get("frames")) if "pattern" in entry else None
    return Clip(
        entry["id"], entry["path"], Path(root) / entry["path"], entry["size"], interval, frames, entry.get("lacking", 0)
    )


def table_entry(
    clip_id: str, path: str, size: int, interval: Interval | None, frames: FrameFiles | None = None, lacking: int = 0
) -> dict[str, Any]:
    """A clip's entry in a video table.

    It has `id`, `path`, `size`; for an interval `start` and `stop` in seconds; for a folder of frames `pattern`, and
    where they are known `first`, the number of its first frame, and `frames`, how many there should be; and `lacking`,
    how many of these are not there, if any.
    """
    entry: dict[str, Any] = {"id": clip_id, "path": path, "size": size}
    part = (interval.as_json() if interval is not None else {}) | (frames.as_json() if frames is not None else {})
    return entry | part | ({"lacking": lacking} if lacking else {})


def total_size(clips: Iterable[Clip]) -> int:
    """Bytes of the files that some clips are in. A file with several of the clips counts once."""
    return sum({clip.file: clip.size for clip in clips}.values())
