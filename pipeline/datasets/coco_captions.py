"""The data set `coco_captions`: any videos with captions in the JSON form of COCO (Chen et al., 2015).

There is one file for each split. `images` lists the clips (`id`, perhaps `file_name`), `annotations` their captions
(`image_id`, `caption`). A clip's id is its `file_name` without folders and extension or, where there is none, its `id`.
Several `images` of one file are one clip, whose captions are joined. Karpathy's form, of one file for all splits, is
read as `pipeline.datasets.karpathy` says.
"""

import reprlib
from pathlib import Path
from typing import Any

from pipeline.config import CocoCaptionsSettings
from pipeline.datasets.annotated import Annotations, list_clips, load_json, named_file, records
from pipeline.datasets.karpathy import is_karpathy, read_images
from pipeline.datasets.listing import Video
from pipeline.errors import PipelineError


def list_videos(source: Path) -> list[Video]:
    """List the videos by id, which is the file's name without extension.

    Raises:
        PipelineError: if the folder cannot be read, or two files have one id.
    """
    return list_clips(source)


def read_annotations(settings: CocoCaptionsSettings) -> Annotations:
    """Read the captions and splits; a clip's split is that of the file it stands in, or that it names (Karpathy).

    Raises:
        PipelineError: naming the file and the item that cannot be read.
    """
    annotations = Annotations()
    if isinstance(settings.captions, Path):
        content = load_json(settings.captions, "captions")
        if not is_karpathy(content):
            raise PipelineError(
                f"{settings.captions}: its images name no split: name a file for each, `captions: {{train: ..., val: "
                "..., test: ...}`"
            )
        read_images(annotations, content, settings.captions, None)
        return annotations
    for split, path in settings.captions.model_dump().items():
        if path is None:
            continue
        content = load_json(path, f"captions.{split}")
        if is_karpathy(content):
            read_images(annotations, content, path, split)
        else:
            _read_split(annotations, content, split, path)
    return annotations


def _read_split(annotations: Annotations, content: Any, split: str, path: Path) -> None:
    clips: dict[str, str] = {}
    file_of: dict[str, str] = {}
    for place, image in records(content, "images", ["id"], path):
        number = _number(image["id"], place)
        name = image.get("file_name")
        file = name if isinstance(name, str) else number
        clip = named_file(file, place)
        if clips.setdefault(number, clip) != clip:
            raise PipelineError(
                f"{place}: the id {number} is {clip} here and {clips[number]} before: give each its own"
            )
        if file_of.setdefault(clip, file) != file:
            raise PipelineError(f"{place}: {file} and {file_of[clip]} are both called {clip}: rename one")
        annotations.assign(clip, split, place)
    for place, annotation in records(content, "annotations", ["image_id", "caption"], path):
        number = _number(annotation["image_id"], place)
        if number not in clips:
            raise PipelineError(f"{place}: there is no image {number} in `images`")
        annotations.add(clips[number], annotation["caption"], place)


def _number(value: object, place: str) -> str:
    """Give the number or text by which `images` and `annotations` name a clip, as text; pandas writes 1.0 for 1."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PipelineError(f"{place}: the id of an image must be a number or a text, not {reprlib.repr(value)}")
    return str(value)
