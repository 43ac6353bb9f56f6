"""The data set `epic_kitchens` (Damen et al., IJCV 2022): intervals of long videos, with a verb and a noun each.

`EPIC_100_train.csv` and `EPIC_100_validation.csv` have `narration_id`, which is a clip's id, `video_id`, the times and
frames at which it starts and stops, `verb_class` and `noun_class`; `EPIC_100_test_timestamps.csv`, the clips of the
challenge, has no classes. Names of classes stand in `EPIC_100_verb_classes.csv` and `EPIC_100_noun_classes.csv` (`id`,
`key`). Videos are files called by the `video_id`, or folders of frames of that name.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.config import ClipForm, EpicKitchensSettings
from pipeline.datasets.annotated import clip_id, list_clips, shown
from pipeline.datasets.frame_folders import FrameFolder, beyond, list_frame_folders
from pipeline.datasets.label_files import read_class_names, table_rows, whole_number
from pipeline.datasets.label_splits import cut_validation
from pipeline.datasets.labelled import Labelling
from pipeline.datasets.listing import Video
from pipeline.errors import PipelineError
from pipeline.video.frame_files import FrameFiles
from pipeline.video.interval import Interval
from pipeline.workflow.paths import CHALLENGE

COLUMNS = ("narration_id", "video_id", "start_timestamp", "stop_timestamp", "start_frame", "stop_frame")
CLASSES = ("verb_class", "noun_class")
TIME = re.compile(r"(\d{1,4}):([0-5]?\d):([0-5]?\d(?:\.\d+)?)")
PARTICIPANT = re.compile(r"P\d{2,3}")
SECONDS_OF_UNITS = (3600, 60, 1)

Row = Mapping[str, str]


def list_videos(source: Path, annotations: Sequence[Path], form: ClipForm) -> list[Video]:
    """List the annotated intervals of the videos that are there, sorted by id.

    Args:
        source: Folder of the long videos, or of folders of their frames, at any depth.
        annotations: The files of intervals of all splits.
        form: How frames are called; None for videos.

    Raises:
        PipelineError: if a file cannot be read, or no annotated video is there.
    """
    videos = list_clips(source) if form.frames is None else list_frame_folders(source, form.frames)
    files = {video.id: video for video in videos}
    found: dict[str, Video] = {}
    named: dict[str, None] = {}
    for path in annotations:
        for place, row in table_rows(path, "annotations", COLUMNS):
            clip, video = _ids(row, place)
            named[video] = None
            part = _part(clip, files[video], row, place) if video in files else None
            if part is not None:
                found[clip] = part
    if not found:
        raise PipelineError(
            f"`videos: {source}`: no annotated video has a file: the annotations tell of {shown(named)}, there are "
            f"{shown(files)}: an id is a file's or folder's name without its extension"
        )
    return [found[clip] for clip in sorted(found)]


def read_labels(settings: EpicKitchensSettings) -> Labelling:
    """Read the verb, noun and split of each interval; its group is the long video.

    Raises:
        PipelineError: naming file and line of what cannot be read, or of a number that is no class.
    """
    names = settings.classes
    labelling = Labelling(
        {head: read_class_names(getattr(names, head), f"classes.{head}") for head in ("verb", "noun")}
    )
    useless: list[str] = []
    for split, path in settings.annotations.model_dump().items():
        if not isinstance(path, Path):
            continue
        columns = COLUMNS if split in ("test", CHALLENGE) else COLUMNS + CLASSES
        for place, row in table_rows(path, f"annotations.{split}", columns):
            clip, video = _ids(row, place)
            if _interval(row, place) is None:
                useless.append(clip)
                continue
            if split == CHALLENGE:
                labelling.add(clip, None, split, place, video)
                continue
            told = [row.get(column, "") for column in CLASSES]
            numbers = [whole_number(text, f"`{name}`", place) for name, text in zip(CLASSES, told, strict=True) if text]
            if numbers and len(numbers) < len(CLASSES):
                raise PipelineError(f"{place}: {clip} has a verb or a noun and not both")
            if not numbers and split != "test":
                raise PipelineError(f"{place}: {clip} has no verb and no noun, which only clips of test may lack")
            labelling.add(clip, numbers or None, split, place, video)
    if useless:
        labelling.notes.append(f"{len(useless)} intervals stop before they start, and are left out: {shown(useless)}")
    if isinstance(settings.annotations.val, float):
        cut_validation(labelling, settings.annotations.val)
    return labelling


def read_tail(path: Path, head: str, num_classes: int) -> set[int]:
    """Read the numbers of rare classes, such as `EPIC_100_tail_verbs.csv` has them in its column `verb`.

    Args:
        path: The file.
        head: `verb` or `noun`, which is the column's name.
        num_classes: Number of classes of this head.

    Raises:
        PipelineError: naming file and line of what is no number of a class.
    """
    found = set()
    for place, row in table_rows(path, f"tail.{head}", [head]):
        number = whole_number(row[head], f"the {head}", place)
        if not 0 <= number < num_classes:
            raise PipelineError(
                f"{place}: the {head} is {number}: expected 0 to {num_classes - 1}, for there are {num_classes} classes"
            )
        found.add(number)
    return found


def read_participants(path: Path) -> set[str]:
    """Read the participants of a file such as `EPIC_100_unseen_participant_ids_validation.csv`.

    Raises:
        PipelineError: naming file and line of what is no participant, such as P01.
    """
    found = set()
    for place, row in table_rows(path, "unseen", ["participant_id"]):
        name = row["participant_id"].strip()
        if not PARTICIPANT.fullmatch(name):
            raise PipelineError(f"{place}: `participant_id` is {name!r:.40}: expected one such as P01")
        found.add(name)
    return found


def _ids(row: Row, place: str) -> tuple[str, str]:
    return clip_id(row["narration_id"], place), clip_id(row["video_id"], place)


def _part(clip: str, video: Video, row: Row, place: str) -> Video | None:
    """The interval of a file, or the run of frames of a folder, that is a clip; None if it has no length."""
    interval = _interval(row, place)
    if interval is None:
        return None
    if not isinstance(video, FrameFolder):
        return Video(clip, video.path, video.size, interval)
    start, stop = (whole_number(row[column], f"`{column}`", place) for column in ("start_frame", "stop_frame"))
    start = max(start, video.first)  # a clip from the start of its video may begin at frame 0, and files count from 1
    frames = FrameFiles(video.frames.pattern, start, max(stop - start, 1))
    lacking = beyond(frames, video.last)
    return FrameFolder(clip, video.path, video.size, frames=frames, lacking=lacking, last=video.last, first=video.first)


def _interval(row: Row, place: str) -> Interval | None:
    start, stop = (_seconds(row[column], column, place) for column in ("start_timestamp", "stop_timestamp"))
    return Interval(start, stop) if start < stop else None


def _seconds(text: str, column: str, place: str) -> float:
    found = TIME.fullmatch(text.strip())
    if not found:
        raise PipelineError(f"{place}: `{column}` is {text!r:.40}: expected hours:minutes:seconds, such as 00:01:02.50")
    return sum(float(part) * seconds for part, seconds in zip(found.groups(), SECONDS_OF_UNITS, strict=True))
