"""Code that data sets share whose annotations name clips by an id, not by a file.

A clip's id is the name of its file without folder and extension, unless the annotations map it to another. Annotations
may name clips whose files are missing, because published videos vanish: those clips are listed, and no error is raised.
"""

import os
import re
import reprlib
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.datasets.extensions import file_stem, without_extension
from pipeline.datasets.json_forms import other_kind
from pipeline.datasets.listing import Video, is_file, list_videos
from pipeline.datasets.near_names import other_cases
from pipeline.datasets.nulls import is_null
from pipeline.datasets.strict_json import parse_json
from pipeline.errors import PipelineError
from pipeline.workflow.paths import SPLITS

NUM_SHOWN = 3  # ids that a message spells out; it counts the others
MAX_ID_BYTES = 255  # longest name of a file on the file systems in use


@dataclass
class Annotations:
    """The captions and splits of all annotated clips, whether a clip's file is there or not.

    Attributes:
        captions: Captions of each clip, in the order of the file.
        split_of: Split of each clip that has one; val for those in `shared`.
        shared: Clips that are in test and in val.
        notes: Messages that the user should read.
        num_empty: Number of captions that were left out because they are empty.
        num_null: Number of captions that were left out because they are null; texts `nan` are left out later.
    """

    captions: dict[str, list[str]] = field(default_factory=dict)
    split_of: dict[str, str] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    num_empty: int = 0
    num_null: int = 0

    def add(self, clip: str, caption: object, place: str) -> None:
        """Add a caption of a clip; an empty one, or null, is only counted.

        Raises:
            PipelineError: if it is no text, or holds half a character; the message names its `place`.
        """
        if is_null(caption):
            self.num_null += 1
            return
        if not isinstance(caption, str):
            raise PipelineError(f"{place}: the caption of {clip} must be a text, not {reprlib.repr(caption)}")
        if not is_unicode(caption):
            raise PipelineError(f"{place}: the caption of {clip} holds half a character (a lone surrogate): mend it")
        text = " ".join(caption.split())
        if text:
            self.captions.setdefault(clip, []).append(text)
        else:
            self.num_empty += 1

    def assign(self, clip: str, split: str, place: str, may_share: bool = False) -> None:
        """Put a clip in a split; a clip of val in test, too, if the two `may_share` it.

        Raises:
            PipelineError: if it is in another split already: a captioner would be tested on what it was trained on.
        """
        first = self.split_of.setdefault(clip, split)
        if may_share and (first, split) == ("val", "test"):
            self.shared.add(clip)
        elif first != split:
            raise PipelineError(f"{place}: {clip} is in split {split} here and in {first} before: keep it in one")


@dataclass(frozen=True)
class FoundClips:
    """The annotations of the clips whose files are there, and which annotated clips have no file.

    Attributes:
        captions: Captions of each clip that has a file.
        splits: Sorted ids of the clips of each split that have captions and a file.
        missing: Sorted ids of the clips that have captions and no file.
        annotated: Number of clips with captions in each split, with or without a file.
        notes: Messages that the user should read.
    """

    captions: dict[str, list[str]]
    splits: dict[str, list[str]]
    missing: list[str]
    annotated: dict[str, int]
    notes: list[str]

    @classmethod
    def of_all(cls, captions: dict[str, list[str]], splits: dict[str, list[str]]) -> "FoundClips":
        """Make one for a data set whose annotations name only videos that are there."""
        return cls(captions, splits, [], {split: len(members) for split, members in splits.items()}, [])


def find_clips(
    annotations: Annotations, ids: Collection[str], hint: str = "", files: Collection[str] = ()
) -> FoundClips:
    """Part the annotated clips into those whose files are there and those whose files are missing.

    Args:
        annotations: Annotations of the data set.
        ids: The ids of all the videos that are there.
        hint: End of the message where no annotated clip has a file.
        files: Paths of the annotation files, for messages.

    Raises:
        PipelineError: if there are no captions, or none of them is of a video that is there.
    """
    captions, present = annotations.captions, set(ids)
    read = f"{shown(files)}: " if files else ""
    if not captions:
        raise PipelineError(f"{read}there is no caption in the annotations")
    cases = other_cases(captions, ids)
    if cases:
        told = ", ".join(f"{clip} ({known})" for clip, known in list(cases.items())[:NUM_SHOWN])
        cased = f"{len(cases)} annotated clips differ from a file's name in upper and lower case alone: {told}"
    if not present & captions.keys():
        raise PipelineError(
            f"{read}no annotated clip has a file: the captions tell of {shown(captions)}, the files are "
            f"{shown(sorted(present))}: an id is a file's name without its extension{hint}"
            f"{f'; {cased}' if cases else ''}"
        )
    members: dict[str, list[str]] = {split: [] for split in SPLITS}
    for clip in sorted(captions):
        if clip in annotations.split_of:
            members[annotations.split_of[clip]].append(clip)
        if clip in annotations.shared:
            members["test"].append(clip)
    return FoundClips(
        captions={clip: texts for clip, texts in captions.items() if clip in present},
        splits={split: [clip for clip in clips if clip in present] for split, clips in members.items()},
        missing=sorted(captions.keys() - present),
        annotated={split: len(clips) for split, clips in members.items()},
        notes=[*annotations.notes, *_notes(annotations), *([cased] if cases else [])],
    )


def _notes(annotations: Annotations) -> Iterator[str]:
    silent = sorted(annotations.split_of.keys() - annotations.captions.keys())
    if silent:
        yield f"in a split, but without captions: {shown(silent)}"
    free = sorted(annotations.captions.keys() - annotations.split_of.keys())
    if free:
        yield f"with captions, but in no split: {shown(free)}"
    if annotations.shared:
        yield (
            f"{len(annotations.shared)} clips are in val and in test: models are chosen on what they are tested on, as "
            "where these splits are published"
        )
    if annotations.num_empty:
        yield f"{annotations.num_empty} empty captions are left out"
    if annotations.num_null:
        yield f"{annotations.num_null} captions that are null are left out"


def shown(ids: Collection[str]) -> str:
    """Name the first ids for a message, and say how many more there are."""
    more = f" and {len(ids) - NUM_SHOWN} more" if len(ids) > NUM_SHOWN else ""
    return (", ".join(list(ids)[:NUM_SHOWN]) or "none") + more


def list_clips(source: Path, preferred: Sequence[str] = (), names: Mapping[str, str] | None = None) -> list[Video]:
    """List the videos of a folder (at any depth) or list file by id, which is the file's name without extension.

    Args:
        source: A folder, or a list file with one path a line.
        preferred: Extensions, the best first. Of two files with one id, the one with the better extension is taken.
        names: Ids of clips that the annotations call otherwise, by the file's name without extension.

    Raises:
        PipelineError: as `list_videos`, or if two files have one id and neither extension is better.
    """
    found: dict[str, Video] = {}
    for video in list_videos(source):
        stem = file_stem(os.path.basename(video.id))  # noqa: PTH119, much faster
        clip = (names or {}).get(stem, stem)
        other = found.get(clip)
        if other is not None:
            ranks = [_rank(path, preferred) for path in (other.path, video.path)]
            if ranks[0] == ranks[1]:
                raise PipelineError(f"`videos: {source}`: {other.path} and {video.path} are both {clip}: keep one")
            if ranks[0] < ranks[1]:
                continue
        found[clip] = replace(video, id=clip)
    return [found[clip] for clip in sorted(found)]


def _rank(path: str, preferred: Sequence[str]) -> int:
    extension = os.path.splitext(path)[1].lower()  # noqa: PTH122
    return preferred.index(extension) if extension in preferred else len(preferred)


def clip_id(value: object, place: str) -> str:
    """Check an id that annotations give, and return it in Unicode's composed form, which the files' ids have too.

    Raises:
        PipelineError: if it cannot be a file's name: it is empty or `..`, holds a slash or a control character, or is
            longer than file systems allow.
    """
    if not isinstance(value, str) or not value.strip():
        raise PipelineError(f"{place}: the id of a clip must be a text that is not empty, not {reprlib.repr(value)}")
    clip = unicodedata.normalize("NFC", value.strip())
    if "/" in clip or "\\" in clip or clip in (".", ".."):
        raise PipelineError(
            f"{place}: the id {reprlib.repr(clip)} would leave the data folder: ids hold no slash and are not `..`"
        )
    if not all(character.isprintable() for character in clip):
        raise PipelineError(f"{place}: the id {reprlib.repr(clip)} holds a control character: ids are names of files")
    if len(clip.encode()) > MAX_ID_BYTES:
        raise PipelineError(
            f"{place}: the id {clip[:40]}... has {len(clip.encode()):,} bytes: ids are names of files, at most "
            f"{MAX_ID_BYTES}"
        )
    return clip


def named_clip(value: object, place: str) -> str:
    """Check an id that annotations give, which may be the name of the clip's file, and return it without extension.

    Raises:
        PipelineError: as `clip_id`.
    """
    return without_extension(clip_id(value, place))


def named_file(value: object, place: str) -> str:
    """Give the id of the clip whose file annotations name by a path, as it was where they were made.

    Raises:
        PipelineError: as `clip_id`, or if the path leads upwards.
    """
    if not isinstance(value, str) or ".." in re.split(r"[/\\]", value):
        return clip_id(without_extension(str(value)), place)
    return named_clip(re.split(r"[/\\]", value)[-1], place)


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8, which half a character from an escape in JSON cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_file(path: Path, key: str) -> Path:
    """Return the path if there is a file at it.

    Args:
        path: Path from the configuration.
        key: Setting that holds the path, for the message.

    Raises:
        PipelineError: if there is no file.
    """
    if not is_file(path):
        raise PipelineError(f"`{key}: {path}`: there is no such file (relative paths start where Snakemake is called)")
    return path


def read_lines(path: Path, key: str) -> Iterator[tuple[int, str]]:
    """Read the lines of a text file one by one, with their numbers from 1 and without blank ones.

    Raises:
        PipelineError: if the file is missing or not UTF-8.
    """
    try:
        with require_file(path, key).open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.strip()
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: not UTF-8 ({error.reason}): save it as UTF-8") from error


def load_json(path: Path, key: str) -> Any:
    """Read a JSON file as a whole; the largest published one has some 60 MB.

    Raises:
        PipelineError: if it is missing, not UTF-8 or no JSON, or an object in it holds a key twice.
    """
    try:
        text = require_file(path, key).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: not UTF-8 (byte {error.start}): save it as UTF-8") from error
    return parse_json(text, str(path))


def records(content: Any, key: str | None, wanted: Sequence[str], path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the objects of a JSON list with their places, after checking that each has the keys it needs.

    Args:
        content: Content of the file.
        key: Key under which the list stands; None if the list is the whole content.
        wanted: Keys that each object must have.
        path: The file, for places and messages.

    Raises:
        PipelineError: if there is no list, or an object lacks keys; the message names both.
    """
    if key is not None and not (isinstance(content, dict) and key in content):
        found = ", ".join(f"`{name}`" for name in list(content)[:5]) if isinstance(content, dict) else "no object"
        raise PipelineError(f"{path}: there is no `{key}` at its top (found {found or 'nothing'}){other_kind(content)}")
    items = content if key is None else content[key]
    if not isinstance(items, list):
        raise PipelineError(f"{path}: {f'`{key}`' if key else 'the file'} must be a list of objects")
    for number, item in enumerate(items):
        place = f"{path}: {key or 'item'}[{number}]"
        lacking = [name for name in wanted if not isinstance(item, dict) or name not in item]
        if lacking:
            raise PipelineError(f"{place}: there is no {' and no '.join(f'`{name}`' for name in lacking)}")
        yield place, item
