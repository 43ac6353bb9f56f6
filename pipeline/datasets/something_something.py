"""The data set `something_something` (Goyal et al., ICCV 2017): 174 templates of what hands do with things.

Version 1 has folders of frames (`<id>/%05d.jpg`) and `something-something-v1-{labels,train,validation,test}.csv`: a
template a line, and lines of `id;template`. Version 2 has videos (`<id>.webm`), `labels.json` (numbers by template),
`train.json` and `validation.json` (objects with `id` and `template`) and `test-answers.csv` (`id;template`); in older
releases these are called `something-something-v2-labels.json` and so on.

Both versions have the same templates. The order of version 2's file is alphabetical, and that of version 1's is not.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline.config import SomethingSomethingSettings
from pipeline.datasets.annotated import list_clips, load_json, named_clip, records
from pipeline.datasets.frame_folders import list_frame_folders
from pipeline.datasets.label_files import (
    existing,
    found_files,
    label_lines,
    numbers_of,
    read_class_names,
    read_name_lines,
)
from pipeline.datasets.label_splits import cut_validation
from pipeline.datasets.labelled import HEAD, Labelling, class_number
from pipeline.datasets.listing import Video
from pipeline.errors import PipelineError

FRAMES = "%05d.jpg"  # of version 1
FILES = {"train": "train", "validation": "validation", "answers": "test-answers", "labels": "labels"}
KEY = "annotations"


def list_videos(source: Path, pattern: str | None) -> list[Video]:
    """List the clips by id, the name of the video without extension or that of the folder of frames.

    Args:
        source: The folder of videos or of folders.
        pattern: Name of a frame's file; None where clips are videos.

    Raises:
        PipelineError: if there is no clip, or two have one id.
    """
    return list_clips(source) if pattern is None else [*list_frame_folders(source, pattern)]


def label_files(annotations: Path, version: int) -> list[Path]:
    """The files that labels are read from, as far as they are there."""
    return [path for part in FILES for path in found_files(annotations, _names(version, part))]


def read_labels(settings: SomethingSomethingSettings) -> Labelling:
    """Read the templates, the label of each clip, and the splits that the settings choose.

    Raises:
        PipelineError: naming file and line of what cannot be read, or of a template that is not among the labels.
    """
    labels = _file(settings, "labels")
    read_names = read_class_names if labels.suffix == ".json" else read_name_lines  # whatever a .csv file is elsewhere
    names = [_plain(name) for name in read_names(labels, KEY)]
    if settings.label_order == "alphabetical":
        names = sorted(names)
    numbers = numbers_of(names)
    labelling = Labelling({HEAD: names})
    published = {"train": "train", settings.splits.val: "val", settings.splits.test: "test"}
    for part in ("train", "validation", "answers"):
        if part in published:
            for place, clip, template in _labelled(_file(settings, part)):
                number = class_number(_plain(template), numbers, place, labels.name)
                labelling.add(named_clip(clip, place), [number], published[part], place)
    if isinstance(settings.splits.val, float):
        cut_validation(labelling, settings.splits.val)
    return labelling


def _labelled(path: Path) -> Iterator[tuple[str, str, str]]:
    """The place, id and template of each clip of a file."""
    if path.suffix == ".json":
        for place, item in records(load_json(path, KEY), None, ["id", "template"], path):
            if not isinstance(item["template"], str):
                raise PipelineError(f"{place}: `template` must be a text, not {item['template']!r:.60}")
            yield place, str(item["id"]), item["template"]
        return
    for place, line in label_lines(path, KEY, "`id;template`"):
        clip, separator, template = line.partition(";")
        if not separator or not template.strip():
            raise PipelineError(f"{place}: expected `id;template` with a semicolon between them, found {line!r:.80}")
        yield place, clip, template


def _file(settings: SomethingSomethingSettings, part: str) -> Path:
    return existing(settings.annotations, _names(settings.version, part), KEY)


def _names(version: int, part: str) -> list[str]:
    name = FILES[part] + (".csv" if version == 1 or part == "answers" else ".json")
    return [name, f"something-something-v{version}-{name}"]


def _plain(template: str) -> str:
    """A template without the brackets around what differs from clip to clip, and with single spaces."""
    return " ".join(template.replace("[", "").replace("]", "").split())
