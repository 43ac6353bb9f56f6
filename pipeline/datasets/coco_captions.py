"""The data set `coco_captions`: any videos with captions in the JSON form of COCO (Chen et al., 2015).

There is one file for each split. `images` lists the clips (`id`, perhaps `file_name`), `annotations` their captions
(`image_id`, `caption`). A clip's id is its `file_name` without extension or, where there is none, its `id`.
"""

import os
import reprlib
from pathlib import Path

from pipeline.config import CocoCaptionsSettings
from pipeline.datasets.annotated import Annotations, clip_id, list_clips, load_json, records
from pipeline.datasets.listing import Video
from pipeline.errors import PipelineError


def list_videos(source: Path) -> list[Video]:
    """List the videos by id, which is the file's name without extension.

    Raises:
        PipelineError: if the folder cannot be read, or two files have one id.
    """
    return list_clips(source)


def read_annotations(settings: CocoCaptionsSettings) -> Annotations:
    """Read the captions and splits; a clip's split is that of the file it stands in.

    Raises:
        PipelineError: naming the file and the item that cannot be read.
    """
    annotations = Annotations()
    for split, path in settings.captions.model_dump().items():
        if path is not None:
            _read_split(annotations, split, path)
    return annotations


def _read_split(annotations: Annotations, split: str, path: Path) -> None:
    content = load_json(path, f"captions.{split}")
    clips: dict[str, str] = {}
    for place, image in records(content, "images", ["id"], path):
        name, named = image.get("file_name"), _number(image["id"], place)
        clip = clip_id(os.path.splitext(name)[0] if isinstance(name, str) else named, place)  # noqa: PTH122
        clips[named] = clip
        annotations.assign(clip, split, place)
    for place, annotation in records(content, "annotations", ["image_id", "caption"], path):
        named = _number(annotation["image_id"], place)
        if named not in clips:
            raise PipelineError(f"{place}: there is no image {named} in `images`")
        annotations.add(clips[named], annotation["caption"], place)


def _number(value: object, place: str) -> str:
    """Give the number or text by which `images` and `annotations` name a clip, as text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PipelineError(f"{place}: the id of an image must be a number or a text, not {reprlib.repr(value)}")
    return str(value)
