"""The data set `labelled_list`: videos or folders of frames, with a list of them and their labels for each split.

A line is `path label` (VideoMAE, mmaction2, SlowFast), `folder num_frames label` (TSM, mmaction2), or has several
labels (`clip,verb,noun` of CAST). A path is relative to the folder of videos, or absolute; the extension of a video may
be left out. A clip's id is its path as the list has it.
"""

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import ClipForm, LabelledListSettings
from pipeline.datasets.annotated import shown
from pipeline.datasets.frame_folders import frame_folder
from pipeline.datasets.label_files import label_lines, read_class_names, whole_number
from pipeline.datasets.label_splits import cut_validation
from pipeline.datasets.labelled import Labelling
from pipeline.datasets.listing import Video, is_folder
from pipeline.errors import PipelineError, breaks_lines
from pipeline.video.frame_files import FrameFiles

SEPARATORS = {"space": None, "comma": ",", "semicolon": ";", "tab": "\t"}
VIDEO_EXTENSIONS = (".mp4", ".avi", ".webm", ".mkv", ".mov", ".MP4")  # that a list may leave out
MAX_CLASSES = 100_000
MAX_PATH = 1024  # characters; ids stand in tables, logs and pages


@dataclass(frozen=True)
class Line:
    """A line of a list: the clip, how many frames it has where the list says so, and its labels as texts."""

    place: str
    clip: str
    num_frames: int | None
    labels: list[str]


def list_videos(source: Path, lists: Sequence[Path], form: ClipForm) -> list[Video]:
    """List those clips of the lists that are there, sorted by id.

    Args:
        source: Folder that paths are relative to.
        lists: The lists of all splits.
        form: What stands between the fields, how many labels there are, and how frames are called if clips are folders.

    Raises:
        PipelineError: if a list cannot be read, no clip is there, or one is named in two ways: it would be two clips,
            perhaps in two splits.
    """
    if not is_folder(source):
        raise PipelineError(
            f"`videos: {source}`: there is no such folder (relative paths start where Snakemake is called)"
        )
    found: dict[str, Video] = {}
    named: dict[str, None] = {}
    called: dict[str, str] = {}  # the clip of each file or folder
    for path in lists:
        for line in _lines(path, form):
            named[line.clip] = None
            if line.clip not in found and (video := _found(source, line, form)) is not None:
                found[line.clip] = video
                other = called.setdefault(os.path.abspath(source / video.path), line.clip)  # noqa: PTH100, keeps links
                if other != line.clip:
                    raise PipelineError(
                        f"{line.place}: {line.clip} is the clip that is called {other} before: write its path in one "
                        "way, in all lists"
                    )
    if not found:
        raise PipelineError(f"`videos: {source}`: nothing that the lists name is there: they tell of {shown(named)}")
    return [found[clip] for clip in sorted(found)]


def read_labels(settings: LabelledListSettings, form: ClipForm) -> Labelling:
    """Read the labels and splits of all the clips that the lists name.

    Raises:
        PipelineError: naming file and line of what cannot be read, or of a label that is no class.
    """
    paths = {split: path for split, path in settings.annotations.model_dump().items() if isinstance(path, Path)}
    lines = {split: list(_lines(path, form)) for split, path in paths.items()}
    labels = {
        split: [[whole_number(text, "the label", line.place) for text in line.labels] for line in of]
        for split, of in lines.items()
    }
    every = [numbers for of in labels.values() for numbers in of]
    heads = {}
    for column, head in enumerate(settings.heads):
        used = {numbers[column] for numbers in every}
        names = read_class_names(settings.classes[head], f"classes.{head}") if settings.classes else None
        _check_range(used, names, head, settings.first_label)
        heads[head] = names or [str(number) for number in range(settings.first_label, max(used) + 1)]
    labelling = Labelling(heads, are_named=settings.classes is not None)
    for split, of in lines.items():
        for line, numbers in zip(of, labels[split], strict=True):
            labelling.add(line.clip, [number - settings.first_label for number in numbers], split, line.place)
    if isinstance(settings.annotations.val, float):
        cut_validation(labelling, settings.annotations.val)
    return labelling


def _check_range(used: set[int], names: Sequence[str] | None, head: str, first: int) -> None:
    """Refuse labels that are none, and those from 1 where 0 is said: every clip would get the class after its own."""
    if names is None and max(used) >= MAX_CLASSES:
        raise PipelineError(
            f"a label of {head} is {max(used):,}: expected fewer than {MAX_CLASSES:,} where no file names the `classes`"
        )
    if first == 1 and 0 in used:
        raise PipelineError(f"`first_label: 1`: a label of {head} is 0: write `first_label: 0`")
    if first == 0 and min(used) == 1 and (names is None or max(used) == len(names)):
        raise PipelineError(
            f"`first_label: 0`: the labels of {head} go from 1 to {max(used)}"
            f"{f', and there are {len(names)} classes' if names else ''}: if they are counted from 1, write "
            f"`first_label: 1`{'' if names else '; else name a file of `classes`'}"
        )


def _lines(path: Path, form: ClipForm) -> Iterator[Line]:
    expected = _expected(form)
    num_labels = form.num_labels or 1
    for number, (place, text) in enumerate(label_lines(path, "annotations", expected)):
        fields = _fields(text, form.separator or "space", form)
        if fields is None:
            raise PipelineError(f"{place}: expected {expected}, found {text!r:.100}{_other_separator(text, form)}")
        if number == 0 and not any(re.search(r"\d", field) for field in fields[-num_labels:]):
            continue  # a header
        clip = unicodedata.normalize("NFC", fields[0])
        if not clip or breaks_lines(clip) or len(clip) > MAX_PATH or ".." in re.split(r"[/\\]", clip):
            raise PipelineError(f"{place}: {clip!r:.80} is no path of a clip: expected one line, without `..`")
        frames = whole_number(fields[1], "the number of frames", place) if form.frames else None
        if frames is not None and frames < 1:
            raise PipelineError(f"{place}: {clip} has {frames} frames: expected 1 or more")
        yield Line(place, clip, frames, fields[-num_labels:])


def _fields(text: str, separator: str, form: ClipForm) -> list[str] | None:
    """The fields of a line, from its end, so that a path may hold the separator; None if it has too few."""
    number = (form.num_labels or 1) + (form.frames is not None)
    fields = [field.strip().strip('"') for field in text.rsplit(SEPARATORS[separator], number)]
    return fields if len(fields) == number + 1 else None


def _expected(form: ClipForm) -> str:
    labels = "label" if form.num_labels == 1 else f"{form.num_labels} labels"
    return f"{'folder, number of frames' if form.frames else 'path'} and {labels}, separated by a {form.separator}"


def _other_separator(text: str, form: ClipForm) -> str:
    """End of a message: the separator that fits the line."""
    for name in ("comma", "semicolon", "tab", "space"):
        fields = _fields(text, name, form)
        if fields is not None and all(field.isdigit() for field in fields[1:]):
            return f": write `separator: {name}`"
    return ""


def _found(source: Path, line: Line, form: ClipForm) -> Video | None:
    """The clip of a line, if it is there."""
    file = source / line.clip
    if form.frames is not None:
        return frame_folder(file, line.clip, line.clip, FrameFiles(form.frames, count=line.num_frames))
    for path in (line.clip, *(f"{line.clip}{extension}" for extension in VIDEO_EXTENSIONS)):
        try:
            about = os.stat(source / path)  # noqa: PTH116, one call for a hundred thousand files
        except (OSError, ValueError):
            continue
        if not os.path.isdir(source / path):  # noqa: PTH112
            return Video(line.clip, path, about.st_size)
    return None
