"""Read files of captions with a row for each video or caption, as users write them and as hubs export them.

The file is CSV or TSV with a header, JSON Lines, or JSON: a list of objects or, as `Dataset.to_json` writes it, an
object a line. Columns have one of the names in `NAMES`, in upper or lower case; others are left out with a note.
"""

import reprlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.datasets.annotated import is_unicode
from pipeline.datasets.json_forms import other_kind
from pipeline.datasets.listing import is_file
from pipeline.datasets.near_names import nearest
from pipeline.datasets.nulls import is_null, is_null_text
from pipeline.datasets.split_names import KNOWN, split_named
from pipeline.datasets.text_tables import DELIMITERS, JSON_LINES, Row, csv_rows, json_lines, json_objects
from pipeline.errors import PipelineError

# What a column is called; the first name that a row has counts. Hugging Face's exports and folders, mPLUG-2, VATEX.
NAMES = {
    "video": ("video", "video_id", "videoid", "file_name", "filename", "video_path", "video_name"),
    "caption": ("caption", "captions", "golden_caption", "sentence", "sentences", "text", "encap"),
    "split": ("split", "subset"),
    "label": ("label", "class", "class_name", "label_name", "action", "category"),
}
NUM_SHOWN = 5  # columns that a note spells out
MAX_PATH = 4096  # characters; no file system takes more


@dataclass(frozen=True)
class Annotation:
    """A caption; `place` is "file:line"."""

    video: str
    caption: str
    split: str | None
    place: str


@dataclass
class CaptionRows:
    """The captions of a file.

    Attributes:
        annotations: The captions, in the order of the file.
        notes: Messages that the user should read.
    """

    annotations: list[Annotation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_rows(path: Path) -> CaptionRows:
    """Read the captions of a file; a row has one caption or, in JSON, a list of them.

    Raises:
        PipelineError: if the file is missing or of another kind, or a row is malformed.
    """
    found = CaptionRows()
    ignored: dict[str, None] = {}
    num_null = 0
    for number, row in rows_of(path, "caption"):
        place = f"{path}:{number}"
        columns = columns_of(row, place, "caption")
        ignored |= dict.fromkeys(name for name in row if name not in columns.values())
        video, split = video_and_split(row, columns, place)
        given = row[columns["caption"]]
        for caption in (given or [None]) if isinstance(given, list) else [given]:
            if is_null(caption) or (isinstance(caption, str) and not caption.strip()):
                num_null += 1
            else:
                found.annotations.append(Annotation(video, _caption(caption, place), split, place))
    if num_null:
        found.notes.append(f"{path}: {num_null} captions are empty or null, and left out")
    if ignored:
        found.notes.append(f"{path}: columns that are not read: {named_columns(list(ignored))}")
    return found


def rows_of(path: Path, value: str) -> Iterator[Row]:
    """Give the rows of a table of whatever form, which tell a `caption` or a `label` of a video.

    Args:
        path: The file.
        value: Which of the two they tell; the setting that names the file is called so, in the plural.

    Raises:
        PipelineError: if the file is missing or of another kind, or a row is malformed.
    """
    if not is_file(path):
        raise PipelineError(
            f"`{value}s: {path}`: there is no such file (relative paths start where Snakemake is called)"
        )
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        return csv_rows(path, lambda header: _has_columns(header, value), f"`video,{value}` or `video,{value},split`")
    if suffix in JSON_LINES:
        return json_lines(path, _example(value))
    if suffix == ".json":
        return json_objects(path, _example(value))
    raise PipelineError(f"`{value}s: {path}`: expected JSON Lines (.jsonl), JSON (.json), CSV (.csv) or TSV (.tsv)")


def _example(value: str) -> str:
    return f'{{"video": ..., "{value}": ...}}'


def _has_columns(header: list[str], value: str) -> bool:
    names = {name.casefold() for name in header}
    return all(names & set(NAMES[column]) for column in ("video", value))


def columns_of(row: Mapping[str, object], place: str, value: str) -> dict[str, str]:
    """Name in the row of each column that it has, of `video`, `split` and the one that tells the value.

    Raises:
        PipelineError: if there is no video or no value.
    """
    names = {name.strip().casefold(): name for name in row}
    read = ("video", value, "split")
    found = {column: next((names[name] for name in NAMES[column] if name in names), None) for column in read}
    for column in ("video", value):
        if found[column] is None:
            near = nearest(column, list(row))
            meant = f" (is it `{near}`?)" if near else ""
            raise PipelineError(
                f"{place}: there is no `{column}`{meant}: expected {_example(value)} and perhaps a split"
                f"{other_kind(dict(row))}"
            )
    return {column: name for column, name in found.items() if name is not None}


def video_and_split(row: Mapping[str, object], columns: Mapping[str, str], place: str) -> tuple[str, str | None]:
    """The video that a row names, and its split if it names one.

    Raises:
        PipelineError: if it names no video, or an unknown split.
    """
    split = _split(row[columns["split"]], place) if "split" in columns else None
    return _video(row[columns["video"]], place), split


def _video(value: object, place: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
        value = str(int(value))  # ids may be numbers, and pandas writes 7.0 for 7
    if not isinstance(value, str) or not value.strip():
        raise PipelineError(f"{place}: `video` must name a video")
    if len(value) > MAX_PATH:
        raise PipelineError(f"{place}: `video` has {len(value):,} characters: expected the path of a video")
    return unicodedata.normalize("NFC", value.strip())


def _split(value: object, place: str) -> str | None:
    if is_null(value) or (isinstance(value, str) and is_null_text(value)):
        return None
    split = split_named(value)
    if split is None:
        raise PipelineError(f"{place}: unknown split {reprlib.repr(value)}: expected {KNOWN}")
    return split


def _caption(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise PipelineError(f"{place}: `caption` must be a text, or in JSON a list of texts, not {reprlib.repr(value)}")
    if not is_unicode(value):
        raise PipelineError(f"{place}: `caption` holds half a character (a lone surrogate): mend it")
    if value.startswith(("['", '["')) and value.endswith("]"):
        raise PipelineError(f"{place}: `caption` is a list that was written as a text: export it as JSON Lines")
    return " ".join(value.split())


def named_columns(columns: list[str]) -> str:
    """Name columns that are not read for a note, and say which known one each resembles."""
    known = [name for names in NAMES.values() for name in names]
    told = []
    for name in columns[:NUM_SHOWN]:
        near = nearest(name, known)
        told.append(
            f"{name or '(no name)'}{f' (did you mean {near}?)' if near and name.casefold() not in known else ''}"
        )
    return ", ".join(told) + (f" and {len(columns) - NUM_SHOWN} more" if len(columns) > NUM_SHOWN else "")
