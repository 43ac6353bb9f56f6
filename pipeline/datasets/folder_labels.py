"""The labels of the data set `folder`: from a table of `video,label[,split]`, or from the folders that videos lie in.

With `labels: folders` a video's class is the folder that it lies in, `Class/a.mp4`, or `train/Class/a.mp4` where all
folders at the top are called as splits are. Deeper folders belong to the class above them. Classes are in alphabetical
order, and those that are called by numbers in the order of these.
"""

import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifact.video_table import Clip
from pipeline.config import FolderSettings
from pipeline.datasets import listing
from pipeline.datasets.annotated import shown
from pipeline.datasets.caption_rows import columns_of, named_columns, rows_of, video_and_split
from pipeline.datasets.folder import hashed_split, read_captions
from pipeline.datasets.label_files import numbers_of
from pipeline.datasets.label_splits import cut_validation, draw_splits
from pipeline.datasets.labelled import HEAD, Labelling
from pipeline.datasets.named_videos import resolve, splits_of
from pipeline.datasets.nulls import is_null, is_null_text
from pipeline.datasets.split_names import split_named
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class LabelRow:
    """The label of a video; `place` is "file:line"."""

    video: str
    label: str
    split: str | None
    place: str


def read_labels(settings: FolderSettings, clips: Mapping[str, Clip]) -> Labelling:
    """Read the label of each video, and its split.

    A split that the table or the folders name counts. Where they name training and test alone, validation is cut from
    training, as large as its share says. Where they name none, each class is parted by the shares of `splits`; in a
    data set that has captions, too, videos have the splits that these have, or would have.

    Args:
        settings: Settings of the data set, with `labels`.
        clips: All the clips that are there, by id.

    Raises:
        PipelineError: naming file and line, or the folder, of what cannot be read.
    """
    root = listing.root_of(settings.videos)
    paths = {clip.id: unicodedata.normalize("NFC", os.path.relpath(clip.file, root)) for clip in clips.values()}
    if isinstance(settings.labels, Path):
        told, split_of, notes = _of_table(settings.labels, clips, paths)
    else:
        told, split_of, notes = _of_folders(settings.videos, paths)
    labelling = Labelling({HEAD: _in_order(set(told.values()))}, notes=notes)
    numbers = numbers_of(labelling.heads[HEAD])
    shares = settings.splits
    by_class = settings.captions is None and shares.train > 0
    of_captions = _splits_of_captions(settings, clips) if not split_of else {}
    cut_from = {paths[clip.id] for clip in clips.values() if clip.interval is not None}
    for clip in sorted(told):
        is_part = clip in clips and clips[clip].interval is not None
        if paths.get(clip) in cut_from:  # an interval, or the whole of a file that others are intervals of
            labelling.groups[clip] = paths[clip]
        split = split_of.get(clip)
        if not split_of and not by_class:
            split = of_captions.get(clip) or hashed_split(paths[clip] if is_part else clip, shares)
        labelling.add(clip, [numbers[told[clip]]], split, str(settings.labels))
    if not split_of and by_class:
        draw_splits(labelling, shares.val, shares.test)
    elif set(split_of.values()) == {"train", "test"} and shares.val:
        cut_validation(labelling, shares.val / (shares.train + shares.val))
    return labelling


def _splits_of_captions(settings: FolderSettings, clips: Mapping[str, Clip]) -> dict[str, str]:
    """The split of each video that has captions."""
    cut_from = {clip.id: clip.file for clip in clips.values() if clip.interval is not None}
    found = read_captions(settings, list(clips), cut_from)
    return {clip: split for split, members in found.splits.items() for clip in members}


def _of_table(
    table: Path, clips: Mapping[str, Clip], paths: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """The labels and splits by the table, and notes."""
    rows, notes = read_rows(table)
    if not rows:
        raise PipelineError(f"`labels: {table}`: no row with a label in it")
    files = {clip.id: paths[clip.id] for clip in clips.values() if clip.interval is not None}
    resolved, unknown = resolve(rows, list(clips), files, f"{table} has labels")
    told: dict[str, LabelRow] = {}
    for row in rows:
        first = told.setdefault(resolved[row.video], row)
        if first.label != row.label:
            raise PipelineError(
                f"{row.place}: {row.video} is {row.label!r} here and {first.label!r} at {first.place}: a clip has one "
                "label"
            )
    return {clip: row.label for clip, row in told.items()}, splits_of(rows, resolved), [*notes, *unknown]


def read_rows(path: Path) -> tuple[list[LabelRow], list[str]]:
    """Read the rows of a table of labels, and notes about what is left out.

    Raises:
        PipelineError: if the file is missing or of another kind, or a row is malformed.
    """
    rows: list[LabelRow] = []
    ignored: dict[str, None] = {}
    num_null = 0
    for number, row in rows_of(path, "label"):
        place = f"{path}:{number}"
        columns = columns_of(row, place, "label")
        ignored |= dict.fromkeys(name for name in row if name not in columns.values())
        video, split = video_and_split(row, columns, place)
        given = row[columns["label"]]
        if is_null(given) or (isinstance(given, str) and is_null_text(given)):
            num_null += 1
        else:
            rows.append(LabelRow(video, _label(given, place), split, place))
    notes = [f"{path}: {num_null} labels are empty or null, and left out"] if num_null else []
    if ignored:
        notes.append(f"{path}: columns that are not read: {named_columns(list(ignored))}")
    return rows, notes


def _label(value: object, place: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
        value = str(int(value))  # classes may be numbers, and pandas writes 7.0 for 7
    if not isinstance(value, str):
        raise PipelineError(f"{place}: `label` is {value!r:.60}: expected the name of a class")
    return " ".join(unicodedata.normalize("NFC", value).split())


def _of_folders(source: Path, paths: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """The labels and splits by the folders, and a note about videos that are in none."""
    folders = {clip: path.split("/")[:-1] for clip, path in paths.items()}
    splits = _split_folders(source, list(folders.values()))
    depth = 1 if splits else 0
    told = {clip: parts[depth] for clip, parts in folders.items() if len(parts) > depth and parts[0] != ".."}
    outside = sorted(folders.keys() - told.keys())
    if not told:
        raise PipelineError(
            f"`labels: folders`: no video of {source} lies in a folder of its class, `Class/a.mp4`: found "
            f"{shown(outside)}"
        )
    notes = [f"in no folder of a class, and so without a label: {shown(outside)}"] if outside else []
    return told, {clip: splits[folders[clip][0]] for clip in told} if splits else {}, notes


def _split_folders(source: Path, folders: Sequence[Sequence[str]]) -> dict[str, str]:
    """The folders at the top that are those of splits, each with its split; nothing where they are those of classes.

    Args:
        source: The folder of videos, for messages.
        folders: The folders that each video lies in, from the top down.
    """
    top = {parts[0] for parts in folders if len(parts) > 1}
    splits = {name: split for name in top if (split := split_named(name)) is not None}
    others = sorted({parts[0] for parts in folders if parts} - splits.keys())
    if len(splits) > 1 and others:
        raise PipelineError(
            f"`labels: folders`: {source} has folders called as splits are ({', '.join(sorted(splits))}), and others "
            f"beside them ({shown(others)}): put the folders of classes below those of splits"
        )
    return {} if others else splits


def _in_order(names: set[str]) -> list[str]:
    """Names in the order of the alphabet; numbers in that of numbers."""
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))  # 7 and 07 may both be there
    return sorted(names)
