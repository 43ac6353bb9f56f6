"""Read captions in Karpathy's form: `images` that hold their own `sentences` and the name of their `split`.

An image has a `filename`, perhaps a `filepath` (its folder), a `split` (train, restval, val or test; restval is trained
on), and `sentences`, each with `raw` (the text) or `tokens` (its words).
"""

from pathlib import Path
from typing import Any

from pipeline.datasets.annotated import Annotations, named_file, records
from pipeline.datasets.split_names import KNOWN, split_named
from pipeline.errors import PipelineError


def is_karpathy(content: Any) -> bool:
    """Whether a JSON file has this form, as its first image tells."""
    images = content.get("images") if isinstance(content, dict) else None
    return isinstance(images, list) and bool(images) and isinstance(images[0], dict) and "sentences" in images[0]


def read_images(annotations: Annotations, content: Any, path: Path, wanted: str | None) -> None:
    """Add the captions and splits of the images.

    Args:
        annotations: Annotations to add to.
        content: Content of the file.
        path: The file, for messages.
        wanted: Split whose images are read, by the name in the file; images that name none are of it. None for all.

    Raises:
        PipelineError: naming the item that cannot be read.
    """
    file_of: dict[str, str] = {}
    for place, image in records(content, "images", ["filename", "sentences"], path):
        split = _split(image.get("split"), wanted, place)
        if wanted is not None and split != wanted:
            continue
        clip = named_file(image["filename"], place)
        file = f"{image.get('filepath', '')}/{image['filename']}"
        if file_of.setdefault(clip, file) != file:
            raise PipelineError(f"{place}: {file} and {file_of[clip]} are both called {clip}: rename one")
        annotations.assign(clip, split, place)
        if not isinstance(image["sentences"], list):
            raise PipelineError(f"{place}: `sentences` must be a list")
        for sentence in image["sentences"]:
            annotations.add(clip, _text(sentence, place), place)


def _split(name: object, wanted: str | None, place: str) -> str:
    split = wanted if name is None else "train" if name == "restval" else split_named(name)
    if split is None:
        raise PipelineError(f"{place}: `split` is {name!r:.40}: expected restval, {KNOWN}")
    return split


def _text(sentence: object, place: str) -> object:
    if isinstance(sentence, dict) and "raw" in sentence:
        return sentence["raw"]
    if isinstance(sentence, dict) and isinstance(sentence.get("tokens"), list):
        return " ".join(map(str, sentence["tokens"]))
    raise PipelineError(f"{place}: a sentence must have `raw` or `tokens`")
