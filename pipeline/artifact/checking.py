"""Check that one store is whole: its schema and version, its chunks' checksums, the digest of its data."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.artifact.chunks import ChunkReader
from pipeline.artifact.reading import read
from pipeline.artifact.rows import data_digest, root_content
from pipeline.errors import DamagedError, OutdatedError
from pipeline.schemas import VIDEO, Schema


def check_store(store: Path, schema: Schema) -> None:
    """Check that a Zarr artifact is whole, reading a few chunks at a time.

    Args:
        store: The store's folder.
        schema: The schema that it must have.

    Raises:
        DamagedError: if it is not as it was written.
        OutdatedError: if it is of another version of its schema.
        ArtifactError: if `read` refuses it for another reason.
        ValueError, LookupError, TypeError: if its root is not the JSON of a store.
    """
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
    arrays = {name: StoredRows(store / name, group[name]) for name in schema.stored()}
    digest = data_digest(arrays, root_content(schema, artifact.ids, artifact.failed, artifact.suspect))
    if digest != artifact.digest:
        raise DamagedError(f"its data have digest {digest}, but zarr.json says {artifact.digest}")
    _check_labels(group, artifact.ids)


def _check_labels(group: zarr.Group, ids: Sequence[str]) -> None:
    """Check that the array of ids, which stores of earlier versions lack, says what the root says."""
    labels = group.get(VIDEO)
    if labels is None:
        return
    if not isinstance(labels, zarr.Array) or labels.shape != (len(ids),) or labels.chunks != (max(1, len(ids)),):
        raise DamagedError(f"array `{VIDEO}` is not laid out as this workflow does")
    try:
        same = [str(label) for label in np.asarray(labels[:])] == list(ids)
    except PermissionError:
        raise
    except (ValueError, OSError, RuntimeError) as error:
        raise DamagedError(f"array `{VIDEO}` is damaged ({error})") from error
    if not same:
        raise DamagedError(f"array `{VIDEO}` holds other ids than zarr.json")


def provenance(store: Path) -> dict[str, Any]:
    """Read how a store was made: stage, settings, code, inputs and versions.

    Raises:
        DamagedError: if its child group `provenance` is missing or does not say it.
    """
    path = store / "provenance" / "zarr.json"
    try:
        stored: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8"))["attributes"])
        dict(stored["inputs"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DamagedError(f"provenance/zarr.json does not say how it was made ({error!r})") from error
    return stored


class StoredRows:
    """An array of a store, read a few chunks at a time, each compared with its checksum.

    Args:
        folder: The array's folder in the store.
        array: The Zarr array, which tells shape, type and chunks.
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
