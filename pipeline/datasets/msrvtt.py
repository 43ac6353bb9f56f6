"""The data set `msrvtt` (Xu et al., CVPR 2016): 10,000 clips, 20 captions each, in splits of 6513, 497 and 2990.

The annotations are videodatainfo_2017.json or MSRVTT_data.json (`videos` and `sentences`), or nested objects of id ->
{sentence: caption}. They have some 20 MB and are read as a whole.
"""

import reprlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pipeline.config import MsrvttSettings
from pipeline.datasets.annotated import Annotations, list_clips, load_json, named_clip, records
from pipeline.datasets.json_forms import other_kind
from pipeline.datasets.listing import Video
from pipeline.datasets.positions import first_number, numbers_of, published_sizes, split_at
from pipeline.datasets.split_lists import read_split_lists
from pipeline.datasets.split_names import KNOWN, split_named
from pipeline.errors import PipelineError

SIZES = {"train": 6513, "val": 497, "test": 2990}
TOTAL = sum(SIZES.values())


def list_videos(source: Path) -> list[Video]:
    """List the videos by id, the file's name without extension; an .mp4 is taken before a .webm of the same name.

    Raises:
        PipelineError: if the folder cannot be read, or two other files have one id.
    """
    return list_clips(source, preferred=(".mp4", ".webm"))


def read_annotations(settings: MsrvttSettings) -> Annotations:
    """Read the captions and splits.

    `splits: position` goes by the number in the ids: video0 to video6512 are for training, the next 497 for validation.
    If the ids are not all one text and a number, they go by their place in the files. `splits: file` takes the split
    that the files name for each video. Lists of ids are those of the splits 9k, 7k and 1k-A.

    Raises:
        PipelineError: naming the file and the item that cannot be read.
    """
    annotations = Annotations()
    clips: dict[str, None] = {}
    for path in settings.captions if isinstance(settings.captions, list) else [settings.captions]:
        content = load_json(path, "captions")
        if isinstance(content, dict) and content and not {"videos", "sentences", "images", "database"} & content.keys():
            found = _read_nested(content, path, annotations)
            if settings.splits == "file":
                raise PipelineError(f"{path}: id -> {{sentence: caption}} names no split: write `splits: position`")
        else:
            found = _read_videos(content, path, settings, annotations)
        clips |= dict.fromkeys(found)
    if settings.splits == "position":
        for clip, position in _positions(clips).items():
            annotations.assign(clip, split_at(position, SIZES), "position")
    if isinstance(settings.splits, str):
        published_sizes(annotations, SIZES)
    else:
        read_split_lists(settings.splits.model_dump(), annotations, {})
    return annotations


def _positions(clips: Collection[str]) -> dict[str, int]:
    """Position (from 0) of each clip: the number in its id, or the place in the files if not all have one."""
    numbered = numbers_of(clips)
    if numbered is None:
        return {clip: place for place, clip in enumerate(clips)}
    numbers = numbered[1]
    first = first_number(numbers.values(), TOTAL, usual=0) if len(numbers) == TOTAL else 0
    return {clip: number - (first or 0) for clip, number in numbers.items()}


def _read_videos(content: Any, path: Path, settings: MsrvttSettings, annotations: Annotations) -> list[str]:
    """Read `videos` and `sentences` into the annotations; return the ids in the order of `videos`."""
    by_file = settings.splits == "file"
    clips: dict[str, None] = {}
    for place, video in records(content, "videos", ["video_id", "split"] if by_file else ["video_id"], path):
        clip = named_clip(video["video_id"], place)
        clips[clip] = None
        if by_file:
            split = split_named(video["split"])
            if split is None:
                raise PipelineError(f"{place}: unknown split {reprlib.repr(video['split'])}: expected {KNOWN}")
            annotations.assign(clip, split, place)
    if clips and "sentences" not in content:  # the challenge published its test videos so
        annotations.notes.append(f"{path}: {len(clips)} videos without `sentences`")
        return list(clips)
    for place, sentence in records(content, "sentences", ["video_id", "caption"], path):
        clip = named_clip(sentence["video_id"], place)
        if clip not in clips:
            raise PipelineError(f"{place}: {clip} is not among the `videos`")
        annotations.add(clip, sentence["caption"], place)
    return list(clips)


def _read_nested(content: dict[str, Any], path: Path, annotations: Annotations) -> list[str]:
    """Read id -> {sentence: caption} into the annotations; return the ids in the order of the file."""
    clips = []
    if any(isinstance(sentences, dict) and "timestamps" in sentences for sentences in content.values()):
        raise PipelineError(f"{path}: expected `videos` and `sentences`{other_kind(content)}")
    for name, sentences in content.items():
        if not isinstance(sentences, dict):
            expected = "expected `videos` and `sentences`, or id -> {sentence: caption}"
            raise PipelineError(f"{path}: {name}: {expected}{other_kind(content)}")
        clips.append(named_clip(name, str(path)))
        for sentence, caption in sentences.items():
            annotations.add(clips[-1], caption, f"{path}: {name}: {sentence}")
    return clips
