"""Captions and splits of the data set `folder`, in JSON Lines or CSV."""

import csv
import difflib
import hashlib
import json
import os
import reprlib
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import FolderSettings, Splits
from pipeline.datasets.annotated import is_unicode
from pipeline.datasets.listing import is_file, read_text
from pipeline.errors import PipelineError
from pipeline.workflow.paths import SPLITS

NUM_SHOWN = 5  # mistakes of one kind spelt out in a message
MAX_PATH = 4096  # characters; no file system takes more


@dataclass(frozen=True)
class Annotation:
    """A line of the captions file; `place` is "file:line"."""

    video: str
    caption: str
    split: str | None
    place: str


def read_captions(settings: FolderSettings, ids: Collection[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Captions of the videos, and the videos of each split.

    A line names a video by its id, or by the id without extension, the file's name or its stem where only one video
    fits. Two annotators may write the same caption: both count. Where the file names no split at all, the hash of a
    video's id draws one by the shares of `splits`, so that a video keeps its split when others come. Videos without
    captions are in no split.

    Args:
        settings: Where the captions file is: JSON Lines (`.jsonl`) or CSV (`.csv`).
        ids: The ids of all the videos.

    Returns:
        Captions by video, in the file's order; sorted ids by split.

    Raises:
        PipelineError: naming file and line, for what cannot be read, an unknown video or split, or a video whose
            lines disagree about its split.
    """
    captions: dict[str, list[str]] = {}
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    if settings.captions is None:
        return captions, splits
    annotations = read_annotations(settings.captions)
    resolved = _resolve(annotations, ids, settings.captions)
    for annotation in annotations:
        captions.setdefault(resolved[annotation.video], []).append(annotation.caption)
    split_of = _splits_of(annotations, resolved)
    for video_id in sorted(captions):
        splits[split_of.get(video_id) or hashed_split(video_id, settings.splits)].append(video_id)
    return captions, splits


def hashed_split(video_id: str, shares: Splits) -> str:
    """Split of a video by the hash of its id: as good as drawn, and the same whatever other videos there are."""
    digest = hashlib.sha256(f"split of {video_id}".encode()).digest()  # not the hash that chooses the shard
    drawn = int.from_bytes(digest[:8], "big") / 2**64
    if drawn < shares.train:
        return "train"
    return "val" if drawn < shares.train + shares.val or shares.test == 0 else "test"


def read_annotations(path: Path) -> list[Annotation]:
    """Lines of a captions file: objects (JSON Lines) or rows (CSV) with `video`, `caption` and perhaps `split`.

    Raises:
        PipelineError: if the file is missing or of another kind, or a line is malformed.
    """
    if not is_file(path):
        raise PipelineError(
            f"`captions: {path}`: there is no such file (relative paths start where Snakemake is called)"
        )
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            records = _json_lines(path)
        case ".csv":
            records = _csv_rows(path)
        case _:
            raise PipelineError(f"`captions: {path}`: expected JSON Lines (.jsonl) or CSV (.csv)")
    return [_annotation(record, f"{path}:{number}") for number, record in records]


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(read_text(path).split("\n"), start=1):  # a caption may hold other line separators
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # a thousand brackets exhaust the parser
            raise PipelineError(f"{path}:{number}: no JSON ({error})") from error
        if not isinstance(record, dict):
            raise PipelineError(f'{path}:{number}: expected {{"video": ..., "caption": ...}}')
        yield number, record


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.reader(read_text(path).splitlines(keepends=True), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) not in (["caption", "video"], ["caption", "split", "video"]):
            raise PipelineError(
                f"{path}:1: expected the header `video,caption` or `video,caption,split`, found {header}"
            )
        start = reader.line_num + 1  # a quoted caption may span lines
        for row in reader:
            if row and len(row) != len(header):
                raise PipelineError(
                    f"{path}:{start}: expected {len(header)} fields, found {len(row)}: quote captions that hold a comma"
                )
            if row:
                yield start, dict(zip(header, row, strict=True))
            start = reader.line_num + 1
    except csv.Error as error:
        raise PipelineError(f"{path}:{reader.line_num}: no CSV ({error})") from error


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


def _resolve(annotations: list[Annotation], ids: Collection[str], path: Path) -> dict[str, str]:
    """The id behind every name that the captions file uses for a video."""
    by_name: dict[str, list[str]] = {}
    for video_id in ids:
        names = {os.path.splitext(video_id)[0], os.path.basename(video_id)}  # noqa: PTH119, PTH122
        for name in names | {os.path.splitext(name)[0] for name in names}:  # noqa: PTH122
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
    """Splits that the captions file names, by video: of all its videos, or of none.

    A video in two splits would be tested on what it was trained on; a split named for some alone leaves open what the
    others are for.
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
