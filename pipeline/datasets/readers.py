"""Which module reads the data sets of a kind.

A digest of code counts the reader that is chosen and not this module: a new kind of data set re-runs nothing.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.config import (
    CocoCaptionsSettings,
    DatasetSettings,
    FolderSettings,
    MsrvttSettings,
    MsvdSettings,
    ShapesSettings,
    VatexSettings,
)
from pipeline.datasets import annotated, coco_captions, folder, msrvtt, msvd, vatex
from pipeline.datasets.annotated import FoundClips
from pipeline.datasets.listing import Video
from pipeline.datasets.sharding import shard_of
from pipeline.errors import PipelineError


def list_videos(kind: str, source: Path, mapping: Path | None) -> list[Video]:
    """The videos that the user brings, by id. Names and sizes alone are looked at.

    Args:
        kind: Of the data set.
        source: Its folder or list file.
        mapping: Where ids of clips are (`msvd`).

    Raises:
        PipelineError: if they cannot be listed.
    """
    match kind:
        case "folder":
            return folder.list_videos(source)
        case "msvd":
            return msvd.list_videos(source, mapping)
        case "msrvtt":
            return msrvtt.list_videos(source)
        case "vatex":
            return vatex.list_videos(source)
        case "coco_captions":
            return coco_captions.list_videos(source)
    raise PipelineError(f"a data set of kind {kind} has no folder of videos")


def read_made(made: Path) -> list[dict[str, Any]]:
    """The videos of one shard that a stage has generated (`shapes`), by id.

    Args:
        made: Their list.

    Raises:
        PipelineError: if the list or a video of it is missing.
    """
    from pipeline.datasets.shapes.made import read_list  # it reads artifacts, and the Snakefile must stay light

    return read_list(made)


def listing_digests(videos: Sequence[Video], shards: int) -> list[str]:
    """For every shard, the digest of the names, sizes and intervals of its videos: what re-runs `index_videos`.

    Args:
        videos: All of them, by id.
        shards: How many there are.
    """
    lines: list[list[str]] = [[] for _ in range(shards)]
    for video in videos:
        part = [] if video.interval is None else [video.interval.start, video.interval.stop]
        lines[shard_of(video.id, shards)].append(json.dumps([video.id, video.path, video.size, *part]))
    return [hashlib.sha256("\n".join(shard).encode()).hexdigest()[:16] for shard in lines]


def read_captions(
    settings: DatasetSettings,
    ids: Collection[str],
    made: Sequence[Path] = (),
    cut_from: Mapping[str, Path] = MappingProxyType({}),
) -> FoundClips:
    """Captions and splits of a data set.

    Args:
        settings: Its settings.
        ids: Ids of all the videos that are there.
        made: Lists of generated videos of all shards; nothing where the user brings the videos.
        cut_from: The file of every clip that is an interval.

    Raises:
        PipelineError: if they cannot be read or do not fit the videos.
    """
    match settings:
        case ShapesSettings():
            from pipeline.datasets.shapes.made import read_captions as read_made_captions

            return FoundClips.of_all(*read_made_captions(made))
        case FolderSettings():
            return FoundClips.of_all(*folder.read_captions(settings, ids, cut_from))
        case MsvdSettings():
            hint = "" if settings.mapping else "; or name a `mapping` between the two"
            return annotated.find_clips(msvd.read_annotations(settings), ids, hint)
        case MsrvttSettings():
            return annotated.find_clips(msrvtt.read_annotations(settings), ids)
        case VatexSettings():
            return annotated.find_clips(vatex.read_annotations(settings), ids)
        case CocoCaptionsSettings():
            return annotated.find_clips(coco_captions.read_annotations(settings), ids)


def annotation_files(dataset: dict[str, Any]) -> list[str]:
    """Files of captions, ids and splits that the settings of a data set name.

    Args:
        dataset: Its settings, as JSON gives them.
    """
    if dataset["kind"] == "shapes":
        return []
    named: list[Any] = [dataset["captions"], dataset.get("mapping")]
    named += [] if dataset["kind"] == "folder" else [dataset.get("splits")]  # a folder's are shares
    found: list[Any] = []
    for value in named:
        found += value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return sorted({path for path in found if isinstance(path, str) and path not in ("position", "file")})
