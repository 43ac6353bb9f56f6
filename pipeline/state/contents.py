"""Whether one artifact is whole: its schema and version, its chunks' checksums, the digest of its data."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from pipeline.artifact import read
from pipeline.artifact_chunks import ChunkReader
from pipeline.artifact_rows import data_digest, root_content
from pipeline.errors import PipelineError
from pipeline.json_shapes import problem_of
from pipeline.report.stores import SCHEMAS
from pipeline.schemas import Schema
from pipeline.state.inventory import Found

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


class DamagedError(PipelineError):
    """An artifact is not as it was written."""


class OutdatedError(PipelineError):
    """An artifact is of another version of its schema: no stage reads it."""


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


def check_store(store: Path, schema: Schema) -> None:
    """Check a Zarr artifact. See `check_contents`."""
    for folder, folders, files in os.walk(store):
        links = [name for name in (*folders, *files) if (Path(folder) / name).is_symlink()]
        if links:
            raise DamagedError(f"{Path(folder, links[0]).relative_to(store)} is a link, which no stage writes")
    if not (store / "zarr.json").is_file():
        raise DamagedError("zarr.json is missing")
    root = json.loads((store / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    if root["schema"] == schema.name and root["version"] != schema.version:
        raise OutdatedError(f"holds {schema.name} version {root['version']}, expected version {schema.version}")
    artifact = read(store, schema)
    provenance(store)
    group = zarr.open_group(store, mode="r")
    names = [*schema.arrays, *(f"{dim}_ptr" for dim in schema.ragged())]
    arrays = {name: StoredRows(store / name, group[name]) for name in names}
    digest = data_digest(arrays, root_content(schema, artifact.ids, artifact.failed, artifact.suspect))
    if digest != artifact.digest:
        raise DamagedError(f"its data have digest {digest}, but zarr.json says {artifact.digest}")


def provenance(store: Path) -> dict[str, Any]:
    """How a store was made.

    Raises:
        DamagedError: if it does not say.
    """
    path = store / "provenance" / "zarr.json"
    try:
        made: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8"))["attributes"])
        dict(made["inputs"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DamagedError(f"provenance/zarr.json does not say how it was made ({error!r})") from error
    return made


class StoredRows:
    """An array of a store, read a few chunks at a time, each compared with its checksum.

    Args:
        folder: Where it is.
        array: Its shape, type and chunks.
    """

    def __init__(self, folder: Path, array: Any) -> None:
        self.name = folder.name
        self.reader = ChunkReader(folder, array)
        self.dtype = self.reader.dtype
        self.shape = tuple(int(size) for size in array.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return int(self.dtype.itemsize * np.prod(self.shape, dtype=int))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        start, stop, _ = rows.indices(len(self))
        try:
            return self.reader.rows(start, stop)
        except PermissionError:
            raise
        except (ValueError, OSError, RuntimeError) as error:
            raise DamagedError(f"array `{self.name}` is damaged ({error})") from error


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
