"""Whether one artifact is whole: its schema and version, its chunks' checksums, the digest of its data."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from pipeline.artifact.checking import DamagedError, OutdatedError, check_store
from pipeline.artifact.json_shapes import problem_of
from pipeline.errors import PipelineError
from pipeline.schemas import SCHEMAS
from pipeline.upkeep.inventory import Found

JSON_KEYS = {
    "made": ["videos"],
    "truth": ["videos"],
    "videos": ["root", "videos"],
    "captions": ["captions", "splits"],
    "vocabulary": ["words"],
    "generated": ["captions", "model"],
    "predicted": ["experiment", "model", "videos"],
    "settings": ["name", "encoders"],
}
# The stage whose JSON an artifact is, where more than keys is known of it.
JSON_STAGES = {
    "made": "make_shapes",
    "truth": "make_shapes",
    "videos": "index_videos",
    "captions": "index_captions",
    "generated": "generate_captions",
    "predicted": "caption_videos",
}
BLOCK_BYTES = 2**20


def check_contents(found: Found) -> None:
    """Check one artifact, a few rows at a time.

    Raises:
        DamagedError: if it is not as it was written; the message says what was found.
        OutdatedError: if it is whole, perhaps, but of another version.
        PermissionError: if it cannot be read.
    """
    suffix = Path(found.target).suffix
    try:
        if found.is_store:
            check_store(found.place, SCHEMAS[found.kind])
        elif suffix == ".safetensors":
            with safe_open(found.place, framework="np") as file:  # compares the header's sizes with the file's
                file.keys()
        elif suffix == ".json":
            check_json(found.place, JSON_KEYS.get(found.kind, []), JSON_STAGES.get(found.kind, ""))
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


def check_json(path: Path, keys: Sequence[str], stage: str) -> None:
    """Check that a file is JSON, holds some keys and what its stage writes. See `check_contents`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedError(f"is no JSON ({error})") from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:  # an earlier version of the stage wrote it
        raise OutdatedError(f"lacks {', '.join(missing)}")
    problem = problem_of(content, stage)
    if problem is not None:
        raise DamagedError(f"holds what no stage writes: {problem}")


def check_text(path: Path) -> None:
    """Check that a table or page is text and not empty: that is all one can tell of it."""
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
