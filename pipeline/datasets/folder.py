"""The data set `folder`: the user's own videos or clips, with captions and splits in JSON Lines, JSON, CSV or TSV."""

import hashlib
import os
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pipeline.config import FolderSettings, Splits
from pipeline.datasets import listing
from pipeline.datasets.annotated import FoundClips
from pipeline.datasets.caption_rows import Annotation, read_rows
from pipeline.datasets.clip_list import is_clip_list, read_clip_list
from pipeline.datasets.extensions import file_stem
from pipeline.datasets.listing import Video, is_file
from pipeline.datasets.near_names import nearest
from pipeline.errors import PipelineError
from pipeline.workflow.paths import SPLITS

NUM_SHOWN = 5  # mistakes of one kind that a message spells out


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
    resolved, notes = _resolve(rows.annotations, ids, files, settings.captions)
    captions: dict[str, list[str]] = {}
    for annotation in rows.annotations:
        captions.setdefault(resolved[annotation.video], []).append(annotation.caption)
    split_of = _splits_of(rows.annotations, resolved)
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


def _resolve(
    annotations: Sequence[Annotation], ids: Collection[str], files: Mapping[str, str], path: Path
) -> tuple[dict[str, str], list[str]]:
    """Find the id of the video behind every name that the captions file uses; a name of none is its own.

    Returns:
        The ids by name, and notes about names of videos that are not there.
    """
    by_name: dict[str, list[str]] = {}
    for video_id in ids:
        file = files.get(video_id, video_id)
        names = {file, os.path.basename(file)}  # noqa: PTH119
        names |= {file_stem(name) for name in names}
        for name in names - {video_id}:
            by_name.setdefault(name, []).append(video_id)
    exact = set(ids)
    resolved: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for annotation in annotations:
        name = annotation.video
        fitting = [name] if name in exact else by_name.get(name, [])
        if len(fitting) > 1:
            raise PipelineError(
                f"{annotation.place}: {name} may be {' or '.join(sorted(fitting)[:NUM_SHOWN])}: name one"
            )
        if not fitting:
            unknown.setdefault(name, annotation.place)
        resolved[name] = fitting[0] if fitting else name
    if not unknown:
        return resolved, []
    known = {video_id: video_id for video_id in ids} | {name: fitting[0] for name, fitting in by_name.items()}
    told = [_unknown(name, place, known) for name, place in list(unknown.items())[:NUM_SHOWN]]
    more = f"; and {len(unknown) - NUM_SHOWN} more" if len(unknown) > NUM_SHOWN else ""
    note = f"{path} has captions of {len(unknown)} unknown videos: {'; '.join(told)}{more}"
    if len(unknown) == len(resolved):
        raise PipelineError(f"{note}: no row names a video that is there")
    return resolved, [note]


def _unknown(name: str, place: str, known: Mapping[str, str]) -> str:
    near = nearest(name, known)
    return f"{name} (line {place.rpartition(':')[2]}{f', did you mean {known[near]}?' if near else ''})"


def _splits_of(annotations: Sequence[Annotation], resolved: Mapping[str, str]) -> dict[str, str]:
    """Split of each video, where the captions file names splits; nothing where it names none.

    A video in two splits is refused, because it would be tested on what it was trained on. So is a file that names a
    split for some videos only, because it leaves open what the others are for.
    """
    named: dict[str, Annotation] = {}
    for annotation in annotations:
        video_id = resolved[annotation.video]
        first = named.setdefault(video_id, annotation)
        if first.split != annotation.split:
            raise PipelineError(
                f"{annotation.place}: {video_id} is in split {annotation.split or '(none)'} here and in "
                f"{first.split or '(none)'} at {first.place}: every line of a video names the same"
            )
    without = [annotation for annotation in named.values() if annotation.split is None]
    if without and len(without) < len(named):
        raise PipelineError(
            f"{without[0].place}: {without[0].video} is in no split, other videos are: name the split of all or of none"
        )
    return {video_id: annotation.split for video_id, annotation in named.items() if annotation.split is not None}
