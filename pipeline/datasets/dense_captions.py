"""The data set `dense_captions`: long videos with sentences about intervals of them, each interval a clip.

ActivityNet Captions (Krishna et al., ICCV 2017) are JSON of id -> `timestamps` and `sentences`. YouCook2 (Zhou et al.,
AAAI 2018) is a `database` of id -> `subset` and `annotations`, each a `segment` and a `sentence`. Lists of such objects
with a `video_id` are read, too. A clip's id is that of its video and its seconds: `v_abc@4.5-12.5`. Sentences about one
interval of one video are captions of one clip.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import DenseCaptionsSettings
from pipeline.datasets.annotated import Annotations, list_clips, load_json, named_file, shown
from pipeline.datasets.caption_rows import NAMES
from pipeline.datasets.json_forms import other_kind
from pipeline.datasets.listing import Video
from pipeline.datasets.split_names import KNOWN, split_named
from pipeline.errors import PipelineError
from pipeline.video.interval import Interval

PREFIX = "v_"  # of ActivityNet's ids, before YouTube's


@dataclass(frozen=True)
class Sentence:
    """A sentence about an interval of a video.

    Attributes:
        video: Id of the video.
        start: Its first second, as the file gives it.
        stop: Its last second, as the file gives it.
        caption: What the file says of it; None where it says nothing, as in files of segments alone.
        subset: Split that the file names for the video; None if it names none.
        place: File and video, for messages.
    """

    video: str
    start: object
    stop: object
    caption: object
    subset: object
    place: str

    def interval(self) -> Interval | None:
        """The interval; None if its times are no interval, which happens in published files."""
        try:
            return Interval(float(self.start), float(self.stop))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None


def list_videos(source: Path, annotations: Sequence[Path]) -> list[Video]:
    """List the annotated intervals of the videos that are there, sorted by id.

    A file is called by the id of its video; `v_abc` may be called `abc`, as YouTube calls it.

    Args:
        source: A folder or list file of whole videos.
        annotations: The files of intervals and sentences.

    Raises:
        PipelineError: if a file cannot be read, two videos have one id, or no annotated video is there.
    """
    files = {video.id: video for video in list_clips(source)}
    clips: dict[str, Video] = {}
    ids: dict[str, None] = {}
    for path in annotations:
        for sentence in _sentences(load_json(path, "captions"), path):
            ids[sentence.video] = None
            file = files.get(sentence.video) or files.get(sentence.video.removeprefix(PREFIX))
            interval = sentence.interval()
            if file is not None and interval is not None:
                name = _clip_id(sentence.video, interval)
                clips[name] = Video(name, file.path, file.size, interval)
    if not clips:
        raise PipelineError(
            f"`videos: {source}`: no annotated video has a file: the captions tell of {shown(ids)}, the files are "
            f"{shown(files)}: an id is a file's name without its extension"
        )
    return [clips[name] for name in sorted(clips)]


def read_annotations(settings: DenseCaptionsSettings) -> Annotations:
    """Read the captions of the intervals, and the splits of their videos.

    A file for each split may name splits itself: then it gives those of its videos that are of its split. A video of
    train is in no other split; val and test may annotate the same ones, as val_1.json and val_2.json of ActivityNet do.

    Raises:
        PipelineError: naming the file and the video that cannot be read or is in two splits.
    """
    annotations, videos = Annotations(), Annotations()
    unusable: list[str] = []
    for wanted, path in _files(settings):
        if path is None:
            continue
        for sentence in _sentences(load_json(path, f"captions.{wanted}" if wanted else "captions"), path):
            split = _split(sentence, wanted)
            if split is None:
                continue
            videos.assign(sentence.video, split, sentence.place, may_share=True)
            interval = sentence.interval()
            if interval is None:
                unusable.append(f"{sentence.video} from {sentence.start} to {sentence.stop}")
                continue
            clip = _clip_id(sentence.video, interval)
            annotations.assign(clip, split, sentence.place, may_share=True)
            if sentence.caption is not None:
                annotations.add(clip, sentence.caption, sentence.place)
    if unusable:
        annotations.notes.append(
            f"{len(unusable)} intervals have no length or times, and are left out: {shown(unusable)}"
        )
    if videos.shared:
        annotations.notes.append(f"{len(videos.shared)} videos are in val and in test, with clips of their own")
    return annotations


def _files(settings: DenseCaptionsSettings) -> list[tuple[str | None, Path | None]]:
    """The file of each split; or the one of all, whose split is None."""
    if isinstance(settings.captions, Path):
        return [(None, settings.captions)]
    return list(settings.captions.model_dump().items())


def _clip_id(video: str, interval: Interval) -> str:
    return f"{video}@{interval}"


def _split(sentence: Sentence, wanted: str | None) -> str | None:
    """Split of a sentence; None if its file is read for another one."""
    if sentence.subset is None and wanted is not None:
        return wanted
    split = split_named(sentence.subset)
    if split is None:
        raise PipelineError(
            f"{sentence.place}: `subset` is {sentence.subset!r:.40}: expected {KNOWN}, or a file for each split "
            "(`captions: {train: ..., val: ..., test: ...}`)"
        )
    return split if wanted in (None, split) else None


def _sentences(content: Any, path: Path) -> Iterator[Sentence]:
    """Read the sentences of a file, in its order.

    Raises:
        PipelineError: if it has another form; the message names the video.
    """
    content = content["database"] if isinstance(content, dict) and "database" in content else content
    for place, name, video in _videos(content, path):
        split = video.get("subset", video.get("split"))
        parts = list(_parts(video, place))
        clip = named_file(name, place)
        for part, caption in parts:
            if not isinstance(part, list | tuple) or len(part) != 2:
                raise PipelineError(f"{place}: an interval must be two numbers of seconds, not {part!r:.60}")
            yield Sentence(clip, part[0], part[1], caption, split, place)


def _videos(content: Any, path: Path) -> Iterator[tuple[str, object, dict[str, Any]]]:
    """Give each annotated video with its place and name."""
    expected = "expected id -> {timestamps, sentences}, `database`, or a list of objects with `video_id`"
    if isinstance(content, dict):
        for name, video in content.items():
            if not isinstance(video, dict):
                raise PipelineError(f"{path}: {name!r:.60}: {expected}{other_kind(content)}")
            yield f"{path}: {name!r:.60}", name, video
    elif isinstance(content, list):
        for number, video in enumerate(content):
            column = next((key for key in NAMES["video"] if isinstance(video, dict) and key in video), None)
            if column is None:
                raise PipelineError(f"{path}: item[{number}]: {expected}{other_kind(content)}")
            yield f"{path}: item[{number}]", video[column], video
    else:
        raise PipelineError(f"{path}: {expected}")


def _parts(video: Mapping[str, Any], place: str) -> Iterator[tuple[object, object]]:
    """Give each interval of a video with its sentence."""
    if isinstance(video.get("annotations"), list):
        for annotation in video["annotations"]:
            if not isinstance(annotation, dict) or "segment" not in annotation:
                raise PipelineError(f"{place}: an annotation must have a `segment`")
            yield annotation["segment"], annotation.get("sentence")
        return
    times = video.get("timestamps")
    if (
        times is None
        and isinstance(video.get("captions_starts"), list)
        and isinstance(video.get("captions_ends"), list)
    ):
        times = [list(pair) for pair in zip(video["captions_starts"], video["captions_ends"], strict=False)]
    sentences = next((video[key] for key in ("sentences", "captions", "en_captions") if key in video), None)
    if not isinstance(times, list) or not isinstance(sentences, list | None):
        raise PipelineError(f"{place}: expected `timestamps` and `sentences`, or `annotations`, as lists")
    if sentences is not None and len(sentences) != len(times):
        raise PipelineError(f"{place}: {len(times)} `timestamps` and {len(sentences)} `sentences`: expected as many")
    yield from zip(times, sentences if sentences is not None else [None] * len(times), strict=True)
