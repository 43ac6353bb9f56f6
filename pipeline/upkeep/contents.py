"""Check whether one artifact is whole, of whatever kind: a Zarr store, JSON, weights, a picture, a table or a page."""

import pickletools
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from safetensors import SafetensorError, safe_open

from pipeline.artifact.checking import check_store
from pipeline.artifact.json_files import check_json
from pipeline.errors import DamagedError, OutdatedError, PipelineError
from pipeline.schemas import SCHEMAS
from pipeline.upkeep.inventory import Found

# For each kind of JSON artifact, the stage that makes it and the keys that its top level must have.
JSON = {
    "made": ("make_shapes or make_sync_mnist", ["videos"]),
    "truth": ("make_shapes or make_sync_mnist", ["videos"]),
    "videos": ("index_videos", ["root", "videos"]),
    "captions": ("index_captions", ["captions", "splits"]),
    "bounds": ("score_bounds", ["rows"]),
    "clip_scores": ("score_clip", ["metrics", "by_video"]),
    "labels": ("index_labels", ["heads", "labels", "splits"]),
    "groups": ("group_classes", ["groups", "names"]),
    "vocabulary": ("build_vocabulary", ["words"]),
    "generated": ("generate_captions", ["captions"]),
    "faithfulness": ("score_relevance", ["method", "num_videos", "curves", "areas"]),
    "overlays": ("render_maps", ["videos"]),
    "predicted": ("caption_videos", ["experiment", "videos"]),
    "settings": ("describe_experiment", ["name", "experiment"]),
    "pretraining": ("pretrain_videomae", ["epochs", "settings", "num_clips", "shown"]),
    "region_scores": ("extract_regions", ["places", "statistics"]),
}
BLOCK_BYTES = 2**20


def check_contents(found: Found) -> None:
    """Check one artifact; a store is read a few chunks at a time.

    Raises:
        DamagedError: if it is not as it was written; the message says what was found.
        OutdatedError: if it is of another version, whole or not.
        PermissionError: if this user may not read it.
    """
    suffix = Path(found.target).suffix
    try:
        if found.is_store:
            check_store(found.place, SCHEMAS[found.kind])
        elif suffix == ".safetensors":
            with safe_open(found.place, framework="np") as file:  # compares the header's sizes with the file's
                file.keys()
        elif suffix == ".pkl":
            check_pickle(found.place)
        elif suffix == ".json":
            stage, keys = JSON.get(found.kind, ("", []))
            check_json(found.place, keys, stage)
        elif suffix == ".png":
            check_picture(found.place)
        else:
            check_text(found.place)
    except (OutdatedError, DamagedError, PermissionError):
        raise
    except (PipelineError, SafetensorError, OSError, ArithmeticError) as error:
        # without the path and the advice, which the caller gives in its own form
        reason = str(error).partition(": delete ")[0].removeprefix(str(found.place)).lstrip(": ")
        raise DamagedError(reason) from error
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        # what zarr, numcodecs and JSON raise for metadata that says something else than it did
        raise DamagedError(f"cannot be read: {error!r}") from error


def check_pickle(path: Path) -> None:
    """Check that a pickle is whole, without making what it holds.

    Raises:
        ValueError: if it ends before its end, or holds what no pickle does.
    """
    with path.open("rb") as file:
        for _ in pickletools.genops(file):
            pass
        if file.read(1):
            raise DamagedError("goes on after its end")


def check_picture(path: Path) -> None:
    """Check a picture by the checksums of its parts; raises DamagedError, or OSError, if it is not whole."""
    try:
        with Image.open(path) as picture:
            picture.verify()
    except SyntaxError as error:  # what Pillow raises for parts that are damaged
        raise DamagedError(f"cannot be read: {error}") from error


def check_text(path: Path) -> None:
    """Check that a table or page is not empty and is text, because nothing more can be told of it.

    Raises:
        DamagedError: if it is empty or holds zero bytes.
        UnicodeDecodeError: if it is not UTF-8.
    """
    if path.stat().st_size == 0:
        raise DamagedError("is empty")
    for _ in _lines(path):
        pass


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        while block := file.read(BLOCK_BYTES):
            if "\0" in block:
                raise DamagedError("holds zero bytes, which no text does")
            yield block
