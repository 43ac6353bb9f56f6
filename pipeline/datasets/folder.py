"""The data set `folder`: the user's own videos or clips, with captions and splits in JSON Lines, JSON, CSV or TSV."""

import hashlib
import os
import unicodedata
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.config import FolderSettings, Splits
from pipeline.datasets import listing
from pipeline.datasets.annotated import FoundClips
from pipeline.datasets.caption_rows import read_rows
from pipeline.datasets.clip_list import is_clip_list, read_clip_list
from pipeline.datasets.listing import Video, is_file
from pipeline.datasets.named_videos import resolve, splits_of
from pipeline.workflow.paths import SPLITS


def list_videos(source: Path) -> list[Video]:
    """List the clips, sorted by id: the files of a folder or of a list, or what a table of clips names.

    Args:
        source: A folder; a list file (one path a line); or a table of clips (`.csv`, `.tsv`, `.jsonl`, `.ndjson`).

    Raises:
        PipelineError: if there is no clip, or a file, an interval or an id is not valid.
    """
    if is_clip_list(source) and is_file(source):
        return read_clip_list(source)
    return listing.list_videos(source)


def read_captions(
    settings: FolderSettings, ids: Collection[str], cut_from: Mapping[str, Path] = MappingProxyType({})
) -> FoundClips:
    """Read the captions of the videos, and which videos are in which split.

    A row names a video by its id or, where only one video fits, by its path or the file's name, with or without
    extension. A name that fits none is that of a video which is gone: it is missing, and a note says what is near. Two
    annotators may write the same caption: both count. Where the file names no split at all, the hash of a video's id
    decides by the shares of `splits`, so that a video keeps its split when others are added. Clips of one file go to
    the same split, by the hash of its path, because a test on scenes of training videos would tell little. Videos
    without captions are in no split.

    Args:
        settings: Settings of the data set.
        ids: The ids of all the videos.
        cut_from: The file of every clip that is an interval, by the clip's id.

    Raises:
        PipelineError: naming file and line, for what cannot be read, a name of several videos, an unknown split, or a
            video whose rows disagree about its split; or if no row names a video that is there.
    """
    if settings.captions is None:
        return FoundClips.of_all({}, {split: [] for split in SPLITS})
    rows = read_rows(settings.captions)
    root = listing.root_of(settings.videos)
    files = {clip: unicodedata.normalize("NFC", os.path.relpath(file, root)) for clip, file in cut_from.items()}
    resolved, notes = resolve(rows.annotations, ids, files, f"{settings.captions} has captions")
    captions: dict[str, list[str]] = {}
    for annotation in rows.annotations:
        captions.setdefault(resolved[annotation.video], []).append(annotation.caption)
    split_of = splits_of(rows.annotations, resolved)
    members: dict[str, list[str]] = {split: [] for split in SPLITS}
    for video_id in sorted(captions):
        drawn_by = files.get(video_id, video_id)
        members[split_of.get(video_id) or hashed_split(drawn_by, settings.splits)].append(video_id)
    present = set(ids)
    return FoundClips(
        captions={video_id: texts for video_id, texts in captions.items() if video_id in present},
        splits={split: [video_id for video_id in of if video_id in present] for split, of in members.items()},
        missing=sorted(captions.keys() - present),
        annotated={split: len(of) for split, of in members.items()},
        notes=[*notes, *rows.notes],
    )


def hashed_split(video_id: str, shares: Splits) -> str:
    """Split that the hash of a video's id decides: as good as drawn, and the same whatever other videos there are."""
    digest = hashlib.sha256(f"split of {video_id}".encode()).digest()  # not the hash that chooses the shard
    drawn = int.from_bytes(digest[:8], "big") / 2**64
    if drawn < shares.train:
        return "train"
    return "val" if drawn < shares.train + shares.val or shares.test == 0 else "test"
