"""The data set `kinetics` (Kay et al., 2017; Carreira et al., 2018 and 2019): ten seconds of a video, and its action.

A CSV file for each split has `label`, `youtube_id`, `time_start` and `time_end` in seconds; test files may lack the
label. A clip is called `{youtube_id}_{time_start:06d}_{time_end:06d}`. Many of the videos are gone: those are missing.
"""

from collections.abc import Iterator
from pathlib import Path

from pipeline.config import KineticsSettings
from pipeline.datasets.annotated import clip_id, list_clips
from pipeline.datasets.label_files import numbers_of, read_class_names, table_rows, whole_number
from pipeline.datasets.label_splits import cut_validation
from pipeline.datasets.labelled import HEAD, Labelling, class_number
from pipeline.datasets.listing import Video
from pipeline.errors import PipelineError

COLUMNS = ("youtube_id", "time_start", "time_end")


def list_videos(source: Path) -> list[Video]:
    """List the videos by id, which is the file's name without extension.

    Raises:
        PipelineError: if the folder cannot be read, or two files have one id.
    """
    return list_clips(source)


def read_labels(settings: KineticsSettings) -> Labelling:
    """Read the classes, in the order of a file or of the alphabet, and the clips of each split.

    Raises:
        PipelineError: naming file and line of what cannot be read, or of a label that is no class.
    """
    paths = {split: path for split, path in settings.annotations.model_dump().items() if isinstance(path, Path)}
    rows = {split: list(_rows(path, split)) for split, path in paths.items()}
    if settings.classes is None:
        names = sorted({label for of in rows.values() for *_, label in of if label is not None})
        names_in = "the training and test files"
    else:
        names, names_in = read_class_names(settings.classes, "classes"), str(settings.classes)
    numbers = numbers_of(names)
    labelling = Labelling({HEAD: names})
    for split, of in rows.items():
        for place, video, clip, label in of:
            number = None if label is None else [class_number(label, numbers, place, names_in)]
            labelling.add(clip, number, split, place, video)
    if isinstance(settings.annotations.val, float):
        cut_validation(labelling, settings.annotations.val)
    return labelling


def _rows(path: Path, split: str) -> Iterator[tuple[str, str, str, str | None]]:
    """The place, the video, the clip and the label of each row."""
    wanted = COLUMNS if split == "test" else ("label", *COLUMNS)
    for place, row in table_rows(path, f"annotations.{split}", wanted):
        start, stop = (whole_number(row[column], f"`{column}`", place) for column in COLUMNS[1:])
        video = row["youtube_id"].strip()
        label = " ".join(row.get("label", "").split())
        if not label and split != "test":
            raise PipelineError(f"{place}: the label of {video} is empty")
        yield place, video, clip_id(f"{video}_{start:06d}_{stop:06d}", place), label or None
