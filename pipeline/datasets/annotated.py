"""What data sets have in common whose annotations name clips by an id, not by a file.

A clip's id is the name of its file without folder and extension. The annotations tell of clips whose files may be
missing (published videos vanish): those are listed, and nothing stops.
"""

import json
import os
import reprlib
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.datasets.listing import Video, is_file, list_videos
from pipeline.errors import PipelineError
from pipeline.workflow.paths import SPLITS

NUM_SHOWN = 3  # ids of one kind spelt out in a message
MAX_ID_BYTES = 255  # of a file's name, on every file system in use


@dataclass
class Annotations:
    """What the annotations say, whether a clip's file is there or not.

    Attributes:
        captions: Texts by clip, in the order of the file.
        split_of: Split of each clip that has one.
        notes: What the user should know.
        num_empty: Captions without a character, which were left out.
    """

    captions: dict[str, list[str]] = field(default_factory=dict)
    split_of: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    num_empty: int = 0

    def add(self, clip: str, caption: object, place: str) -> None:
        """Take a caption of a clip.

        Raises:
            PipelineError: if it is no text; `place` says where it stands.
        """
        if not isinstance(caption, str):
            raise PipelineError(f"{place}: the caption of {clip} must be a text, not {reprlib.repr(caption)}")
        if not is_unicode(caption):
            raise PipelineError(f"{place}: the caption of {clip} holds half a character (a lone surrogate): mend it")
        text = " ".join(caption.split())
        if text:
            self.captions.setdefault(clip, []).append(text)
        else:
            self.num_empty += 1

    def assign(self, clip: str, split: str, place: str) -> None:
        """Put a clip in a split.

        Raises:
            PipelineError: if it is in another already: it would be tested on what it was trained on.
        """
        first = self.split_of.setdefault(clip, split)
        if first != split:
            raise PipelineError(f"{place}: {clip} is in split {split} here and in {first} before: keep it in one")


@dataclass(frozen=True)
class FoundClips:
    """The annotations of the clips whose files are there.

    Attributes:
        captions: Texts by clip.
        splits: Sorted clips of each split, those with captions.
        missing: Sorted clips that have captions and no file.
        annotated: Clips of each split, with or without a file.
        notes: What the user should know.
    """

    captions: dict[str, list[str]]
    splits: dict[str, list[str]]
    missing: list[str]
    annotated: dict[str, int]
    notes: list[str]

    @classmethod
    def of_all(cls, captions: dict[str, list[str]], splits: dict[str, list[str]]) -> "FoundClips":
        """Of a data set that tells only of videos that are there."""
        return cls(captions, splits, [], {split: len(members) for split, members in splits.items()}, [])


def find_clips(annotations: Annotations, ids: Collection[str], hint: str = "") -> FoundClips:
    """Part the annotated clips into those that are there and those that are missing.

    Args:
        annotations: Of the data set.
        ids: The ids of all the videos that are there.
        hint: What to do where no id fits.

    Raises:
        PipelineError: if there are no captions, or none of a video that is there.
    """
    captions, present = annotations.captions, set(ids)
    if not captions:
        raise PipelineError("there is no caption in the annotations")
    if not present & captions.keys():
        raise PipelineError(
            f"no annotated clip has a file: the captions tell of {shown(captions)}, the files are "
            f"{shown(sorted(present))}: an id is a file's name without its extension{hint}"
        )
    members: dict[str, list[str]] = {split: [] for split in SPLITS}
    for clip in sorted(captions):
        if clip in annotations.split_of:
            members[annotations.split_of[clip]].append(clip)
    return FoundClips(
        captions={clip: texts for clip, texts in captions.items() if clip in present},
        splits={split: [clip for clip in clips if clip in present] for split, clips in members.items()},
        missing=sorted(captions.keys() - present),
        annotated={split: len(clips) for split, clips in members.items()},
        notes=[*annotations.notes, *_notes(annotations)],
    )


def _notes(annotations: Annotations) -> Iterator[str]:
    silent = sorted(annotations.split_of.keys() - annotations.captions.keys())
    if silent:
        yield f"in a split, but without captions: {shown(silent)}"
    free = sorted(annotations.captions.keys() - annotations.split_of.keys())
    if free:
        yield f"with captions, but in no split: {shown(free)}"
    if annotations.num_empty:
        yield f"{annotations.num_empty} empty captions are left out"


def shown(ids: Collection[str]) -> str:
    """Some ids for a message: the first few, and how many more there are."""
    more = f" and {len(ids) - NUM_SHOWN} more" if len(ids) > NUM_SHOWN else ""
    return (", ".join(list(ids)[:NUM_SHOWN]) or "none") + more


def list_clips(source: Path, preferred: Sequence[str] = (), names: Mapping[str, str] | None = None) -> list[Video]:
    """Videos of a folder or list file at any depth, with the file's name without extension as id.

    Args:
        source: A folder, or a list file: a path a line.
        preferred: Extensions of which the earliest counts where files differ in nothing else.
        names: Ids of the clips that the annotations call otherwise than their files.

    Raises:
        PipelineError: as `list_videos`, or if two files have one id.
    """
    found: dict[str, Video] = {}
    for video in list_videos(source):
        stem = os.path.splitext(os.path.basename(video.id))[0]  # noqa: PTH119, PTH122, much faster
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
    """An id as annotations write it, in Unicode's composed form, as those of the files.

    Raises:
        PipelineError: if it is no name of a file within a folder: empty, with a slash or a control character, `..`,
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


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: escapes of JSON may leave half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def split_at(position: int, sizes: Mapping[str, int]) -> str:
    """Split of the clip at a position, from 0, where the splits follow one another; the last one takes the rest."""
    if position < sizes["train"]:
        return "train"
    return "val" if position < sizes["train"] + sizes["val"] else "test"


def published_sizes(annotations: Annotations, sizes: Mapping[str, int]) -> None:
    """Note where the splits are not of the published sizes."""
    counted = {split: sum(of == split for of in annotations.split_of.values()) for split in SPLITS}
    if counted != dict(sizes):
        found, published = ("/".join(str(of[split]) for split in SPLITS) for of in (counted, sizes))
        annotations.notes.append(f"train/val/test are annotated for {found} clips, published for {published}")


def require_file(path: Path, key: str) -> Path:
    """The path, if a file is there.

    Args:
        path: From the configuration.
        key: The setting that holds it.

    Raises:
        PipelineError: if there is none.
    """
    if not is_file(path):
        raise PipelineError(f"`{key}: {path}`: there is no such file (relative paths start where Snakemake is called)")
    return path


def read_lines(path: Path, key: str) -> Iterator[tuple[int, str]]:
    """Lines of a text file with their numbers from 1, one after another and without those that are blank.

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


def read_split_lists(paths: Mapping[str, Path | None], annotations: Annotations, names: Mapping[str, str]) -> None:
    """Put clips in splits by files that hold an id a line.

    Args:
        paths: File of each split.
        annotations: What is added to.
        names: Ids of the clips that a list may call otherwise.

    Raises:
        PipelineError: naming file and line.
    """
    for split, path in paths.items():
        for number, line in read_lines(path, f"splits.{split}") if path is not None else ():
            place = f"{path}:{number}"
            clip = clip_id(line, place)
            annotations.assign(names.get(clip, clip), split, place)


def load_json(path: Path, key: str) -> Any:
    """Content of a JSON file, read as a whole: the largest published one has some 60 MB.

    Raises:
        PipelineError: if it is missing, not UTF-8 or no JSON.
    """
    try:
        return json.loads(require_file(path, key).read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except (ValueError, RecursionError) as error:  # a thousand brackets exhaust the parser
        raise PipelineError(f"{path}: no JSON ({error})") from error


def records(content: Any, key: str | None, wanted: Sequence[str], path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSON list with their places, checked for the keys they must have.

    Args:
        content: What the file holds.
        key: Under which the list stands; None if it is the whole.
        wanted: Keys of each object.
        path: The file.

    Raises:
        PipelineError: naming the object and the key that it lacks.
    """
    if key is not None and not (isinstance(content, dict) and key in content):
        found = ", ".join(f"`{name}`" for name in list(content)[:5]) if isinstance(content, dict) else "no object"
        raise PipelineError(f"{path}: there is no `{key}` at its top (found {found or 'nothing'})")
    items = content if key is None else content[key]
    if not isinstance(items, list):
        raise PipelineError(f"{path}: {f'`{key}`' if key else 'the file'} must be a list of objects")
    for number, item in enumerate(items):
        place = f"{path}: {key or 'item'}[{number}]"
        lacking = [name for name in wanted if not isinstance(item, dict) or name not in item]
        if lacking:
            raise PipelineError(f"{place}: there is no {' and no '.join(f'`{name}`' for name in lacking)}")
        yield place, item
