"""What the workflow's JSON artifacts hold. Every read checks it: a file may have been edited, or be a stranger's.

Paths of files stay below their folder, ids and captions are texts, and sizes are numbers. Keys that are not named here
are not checked: the stage that reads them must bear whatever they hold.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from pipeline.errors import breaks_lines
from pipeline.video.frame_files import FrameFiles
from pipeline.video.interval import Interval
from pipeline.vocabulary import Tokenizer
from pipeline.workflow.paths import CHALLENGE

MOST_TOLD = 3  # mistakes in one message


def _one_line(text: str) -> str:
    if breaks_lines(text):
        raise ValueError("holds a control character")
    return text


def _below(path: str) -> str:
    if not path.isprintable() and breaks_lines(path):
        raise ValueError("holds a control character")
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ValueError("is no path below its folder")
    return path


def _file_name(name: str) -> str:
    if len(PurePosixPath(_below(name)).parts) != 1:
        raise ValueError("is no name of a file")
    return name


Line = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Below = Annotated[str, AfterValidator(_below)]
FileName = Annotated[str, AfterValidator(_file_name)]
Size = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
strict = with_config(ConfigDict(strict=True))


def _no_id_twice(videos: list[Any]) -> list[Any]:
    if len({video["id"] for video in videos}) < len(videos):
        raise ValueError("one id is there twice")
    return videos


def _is_clip(video: Any) -> Any:
    is_interval = "start" in video or "stop" in video
    if is_interval:
        Interval(video.get("start", 0.0), video.get("stop"))  # raises what is wrong
    if "pattern" in video:
        FrameFiles(video["pattern"])  # raises what is wrong
    elif "first" in video or "frames" in video:
        raise ValueError("`first` and `frames` number the frames of a folder, which has a `pattern`")
    if is_interval and "pattern" in video:
        raise ValueError("a folder of frames has no `start` and `stop` in seconds")
    return video


@strict
class Video(TypedDict):
    """An entry of a video table: a file, an interval of one in seconds, or a folder of numbered frames."""

    id: Line
    path: Below
    size: Size
    start: NotRequired[Seconds]
    stop: NotRequired[Seconds]
    pattern: NotRequired[str]
    first: NotRequired[Size]
    frames: NotRequired[Annotated[int, Field(ge=1)]]
    lacking: NotRequired[Size]


@strict
class VideoTable(TypedDict):
    """A video table, which `index_videos` writes."""

    root: NotRequired[Line]
    videos: Annotated[list[Annotated[Video, AfterValidator(_is_clip)]], AfterValidator(_no_id_twice)]


@strict
class Made(TypedDict):
    """An entry of a list of generated videos."""

    id: FileName
    file: FileName
    size: Size
    sha256: str
    split: str
    captions: list[str]


@strict
class MadeList(TypedDict):
    """The list of generated videos, which `make_shapes` writes."""

    videos: Annotated[list[Made], AfterValidator(_no_id_twice)]


@strict
class Drawn(TypedDict):
    """An entry of a list of clips that are drawn without a file."""

    id: FileName
    split: str
    label: Size


@strict
class DrawnList(TypedDict):
    """The list of drawn clips and the names of their classes, which `make_sync_mnist` writes."""

    classes: list[Line]
    videos: Annotated[list[Drawn], AfterValidator(_no_id_twice)]


@strict
class Truth(TypedDict):
    """What is true of each generated video, by id, which is written beside the list."""

    videos: dict[Line, dict[str, Any]]


@strict
class Captions(TypedDict):
    """The captions of a data set by id, and the ids of each split; `index_captions` writes them."""

    captions: NotRequired[dict[Line, list[str]]]
    splits: NotRequired[dict[str, list[Line]]]


@strict
class Labels(TypedDict):
    """The labels of a data set by id, and the ids of each split; `index_labels` writes them."""

    heads: Annotated[dict[Line, Annotated[list[Line], Field(min_length=2)]], Field(min_length=1)]
    labels: dict[Line, list[Size]]
    splits: dict[str, list[Line]]
    missing: list[Line]
    annotated: dict[str, Size]
    notes: list[str]
    flips: dict[str, list[Size] | None]
    groups: dict[Line, str]


def _labels_fit(content: Any) -> Any:
    sizes = [len(names) for names in content["heads"].values()]
    for clip, numbers in content["labels"].items():
        if len(numbers) != len(sizes) or any(number >= size for number, size in zip(numbers, sizes, strict=True)):
            raise ValueError(f"the label of {clip} is {numbers}, where the heads have {sizes} classes")
    placed: set[str] = set()
    for split, clips in content["splits"].items():
        if not placed.isdisjoint(clips) or len(set(clips)) < len(clips):
            raise ValueError(f"a clip of split {split} is in the splits twice")
        if split != CHALLENGE and not content["labels"].keys() >= set(clips):
            raise ValueError(f"a clip of split {split} has no label")
        placed |= set(clips)
    for head, names in content["heads"].items():
        mirrored = content["flips"].get(head)
        if mirrored is not None and sorted(mirrored) != list(range(len(names))):
            raise ValueError(f"the flips of {head} do not give each of its {len(names)} classes once")
    return content


@strict
class ClassGroups(TypedDict):
    """The number of each class's group by head and name, and a name for each group; `group_classes` writes them."""

    groups: Annotated[dict[Line, dict[Line, Size]], Field(min_length=1)]
    names: Annotated[list[Line], Field(min_length=1)]


@strict
class Input(TypedDict):
    """What an artifact records of one input; see `pipeline.artifact.inputs`."""

    digest: str
    path: Below


@strict
class Imported(TypedDict):
    """The file that another system's captions were imported from: its name, its digest, and its form."""

    file: Line
    digest: str
    form: str


@strict
class Generated(TypedDict):
    """The captions of a split, by id, which `generate_captions` or `import_predictions` writes."""

    captions: dict[Line, str]
    scores: NotRequired[dict[Line, float]]
    tokenizer: NotRequired[Tokenizer]
    inputs: NotRequired[dict[str, Input]]
    missing: NotRequired[list[Line]]
    imported: NotRequired[Imported]
    notes: NotRequired[list[str]]


@strict
class Predicted(TypedDict):
    """An entry of a prediction: one captioned clip."""

    path: str
    caption: str
    score: float
    right_to_left: NotRequired[str]
    start: NotRequired[Seconds]
    stop: NotRequired[Seconds]
    samples: NotRequired[list[str]]


@strict
class Prediction(TypedDict):
    """The captions of a data set's clips, and why others have none, by id; `caption_videos` writes them."""

    experiment: str
    inputs: NotRequired[dict[str, Input]]
    videos: dict[str, Predicted]
    missing: dict[str, str]


SHAPES: Mapping[str, TypeAdapter[Any]] = {
    "make_shapes": TypeAdapter(MadeList),
    "make_sync_mnist": TypeAdapter(DrawnList),
    "make_shapes or make_sync_mnist": TypeAdapter(MadeList | DrawnList),
    "index_videos": TypeAdapter(VideoTable),
    "index_captions": TypeAdapter(Captions),
    "index_labels": TypeAdapter(Annotated[Labels, AfterValidator(_labels_fit)]),
    "group_classes": TypeAdapter(ClassGroups),
    "generate_captions": TypeAdapter(Generated),
    "caption_videos": TypeAdapter(Prediction),
}
TRUTH = TypeAdapter(Truth)


def problem_of(content: Any, stage: str) -> str | None:
    """Say what is wrong with the JSON of a stage; None if nothing is, or if the stage has no shape here.

    Args:
        content: The JSON as Python values.
        stage: The stage that makes it.
    """
    if stage not in SHAPES:
        return None
    is_truth = stage.startswith("make_") and isinstance(content, dict) and isinstance(content.get("videos"), dict)
    try:
        (TRUTH if is_truth else SHAPES[stage]).validate_python(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        told = [_place(mistake["loc"]) + mistake["msg"] for mistake in found[:MOST_TOLD]]
        more = [f"and {len(found) - MOST_TOLD} more"] if len(found) > MOST_TOLD else []
        return "; ".join([*told, *more]).replace("Value error, ", "")
    return None


def _place(location: tuple[int | str, ...]) -> str:
    return f"`{'.'.join(map(str, location))[:200]}`: " if location else ""
