"""The data set `folder`: the user's own videos or clips, with captions and splits in JSON Lines or CSV."""

import difflib
import hashlib
import os
import reprlib
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pipeline.config import FolderSettings, Splits
from pipeline.datasets import listing
from pipeline.datasets.annotated import is_unicode
from pipeline.datasets.clip_list import is_clip_list, read_clip_list
from pipeline.datasets.extensions import file_stem
from pipeline.datasets.listing import Video, is_file
from pipeline.datasets.text_tables import csv_rows, json_lines
from pipeline.errors import PipelineError
from pipeline.workflow.paths import SPLITS

NUM_SHOWN = 5  # mistakes of one kind that a message spells out
MAX_PATH = 4096  # characters; no file system takes more


@dataclass(frozen=True)
class Annotation:
    """A line of the captions file; `place` is "file:line"."""

    video: str
    caption: str
    split: str | None
    place: str


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
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Read the captions of the videos, and which videos are in which split.

    A line names a video by its id or, where only one video fits, by its path or the file's name, with or without
    extension. Two annotators may write the same caption: both count. Where the file names no split at all, the hash of
    a video's id decides by the shares of `splits`, so that a video keeps its split when others are added. Clips of one
    file go to the same split, by the hash of its path, because a test on scenes of training videos would tell little.
    Videos without captions are in no split.

    Args:
        settings: Settings of the data set. Its captions file is JSON Lines (`.jsonl`, `.ndjson`) or CSV (`.csv`).
        ids: The ids of all the videos.
        cut_from: The file of every clip that is an interval, by the clip's id.

    Returns:
        Captions of each video, in the file's order; and the sorted ids of each split.

    Raises:
        PipelineError: naming file and line, for what cannot be read, an unknown video or split, or a video whose
            lines disagree about its split.
    """
    captions: dict[str, list[str]] = {}
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    if settings.captions is None:
        return captions, splits
    annotations = read_annotations(settings.captions)
    root = listing.root_of(settings.videos)
    files = {clip: unicodedata.normalize("NFC", os.path.relpath(file, root)) for clip, file in cut_from.items()}
    resolved = _resolve(annotations, ids, files, settings.captions)
    for annotation in annotations:
        captions.setdefault(resolved[annotation.video], []).append(annotation.caption)
    split_of = _splits_of(annotations, resolved)
    for video_id in sorted(captions):
        drawn_by = files.get(video_id, video_id)
        splits[split_of.get(video_id) or hashed_split(drawn_by, settings.splits)].append(video_id)
    return captions, splits


def hashed_split(video_id: str, shares: Splits) -> str:
    """Split that the hash of a video's id decides: as good as drawn, and the same whatever other videos there are."""
    digest = hashlib.sha256(f"split of {video_id}".encode()).digest()  # not the hash that chooses the shard
    drawn = int.from_bytes(digest[:8], "big") / 2**64
    if drawn < shares.train:
        return "train"
    return "val" if drawn < shares.train + shares.val or shares.test == 0 else "test"


def read_annotations(path: Path) -> list[Annotation]:
    """Read the lines of a captions file: objects (JSON Lines) or rows (CSV) of `video`, `caption`, perhaps `split`.

    Raises:
        PipelineError: if the file is missing or of another kind, or a line is malformed.
    """
    if not is_file(path):
        raise PipelineError(
            f"`captions: {path}`: there is no such file (relative paths start where Snakemake is called)"
        )
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            records = json_lines(path, '{"video": ..., "caption": ...}')
        case ".csv":
            records = csv_rows(path, ["video", "caption"], ["split"], "`video,caption` or `video,caption,split`")
        case _:
            raise PipelineError(f"`captions: {path}`: expected JSON Lines (.jsonl) or CSV (.csv)")
    return [_annotation(record, f"{path}:{number}") for number, record in records]


def _annotation(record: Mapping[str, object], place: str) -> Annotation:
    strangers = sorted(record.keys() - {"video", "caption", "split"})
    if strangers:
        raise PipelineError(f"{place}: unknown keys {', '.join(strangers)}: expected video, caption and perhaps split")
    video, caption, split = record.get("video"), record.get("caption"), record.get("split") or None
    if not isinstance(video, str) or not video.strip():
        raise PipelineError(f"{place}: `video` must name a video")
    if len(video) > MAX_PATH:
        raise PipelineError(f"{place}: `video` has {len(video):,} characters: expected the path of a video")
    if not isinstance(caption, str) or not caption.strip():
        raise PipelineError(f"{place}: `caption` must be a text that is not empty")
    if not is_unicode(caption):
        raise PipelineError(f"{place}: `caption` holds half a character (a lone surrogate): mend it")
    if split is not None and split not in SPLITS:
        raise PipelineError(f"{place}: unknown split {reprlib.repr(split)}: expected {', '.join(SPLITS)}")
    return Annotation(unicodedata.normalize("NFC", video.strip()), " ".join(caption.split()), split, place)


def _resolve(
    annotations: list[Annotation], ids: Collection[str], files: Mapping[str, str], path: Path
) -> dict[str, str]:
    """Find the id of the video behind every name that the captions file uses."""
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
        if fitting:
            resolved[name] = fitting[0]
        else:
            unknown.setdefault(name, annotation.place)
    if unknown:
        shown = [_unknown(name, place, by_name) for name, place in list(unknown.items())[:NUM_SHOWN]]
        more = f"; and {len(unknown) - NUM_SHOWN} more" if len(unknown) > NUM_SHOWN else ""
        raise PipelineError(f"{path} has captions of {len(unknown)} unknown videos: {'; '.join(shown)}{more}")
    return resolved


def _unknown(name: str, place: str, by_name: Mapping[str, list[str]]) -> str:
    near = difflib.get_close_matches(name, by_name, n=1)
    return f"{name} (line {place.rpartition(':')[2]}{f', did you mean {by_name[near[0]][0]}?' if near else ''})"


def _splits_of(annotations: list[Annotation], resolved: Mapping[str, str]) -> dict[str, str]:
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
