"""Read the workflow's Zarr artifacts, which are called stores.

A store that exists is complete: `pipeline.artifact.writing` writes it beside its place and then renames it. The root
`zarr.json` depends on the data alone, so equal data give an equal file, for which a later call of Snakemake makes
nothing again. The child group `provenance` says how the store was made. Neither holds a time, a host or an absolute
path.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.artifact.chunks import INDEX_ENTRY_BYTES, ChunkReader
from pipeline.artifact.rows import short_digest
from pipeline.errors import ArtifactError
from pipeline.schemas import Schema

MAX_CHUNK_BYTES = 2**28  # a thousand times as large as those that are written


def store_path(path: Path) -> Path:
    """The store's folder, from its own path or that of its `zarr.json`."""
    return path.parent if path.name == "zarr.json" else path


def file_digest(path: Path) -> str:
    """Digest of an input: of a store (its folder or `zarr.json`) the recorded one, of a file half its SHA-256."""
    root = path / "zarr.json" if path.is_dir() else path
    if root.name == "zarr.json":
        return str(json.loads(root.read_text())["attributes"]["digest"])
    with root.open("rb") as file:
        return short_digest(hashlib.file_digest(file, "sha256"))


class Artifact:
    """A complete store, open for reading.

    Attributes:
        ids: Ids of the videos it holds, in order.
        failed: The reason for each video that was left out, by id.
        suspect: For each video whose rows may be wrong, by id, what was seen, such as signs of a damaged file.
        digest: Digest of the data, as the root records it.
    """

    def __init__(self, store: Path, schema: Schema, root: zarr.Group) -> None:
        self.store = store
        self.schema = schema
        self.ids: list[str] = list(root.attrs["ids"])  # type: ignore[arg-type]
        self.failed: dict[str, str] = dict(root.attrs["failed"])  # type: ignore[arg-type]
        self.suspect: dict[str, str] = dict(root.attrs.get("suspect", {}))  # type: ignore[arg-type]
        self.digest = str(root.attrs["digest"])
        self._arrays: dict[str, zarr.Array[Any]] = dict(root.arrays())
        self._numbers = {video_id: number for number, video_id in enumerate(self.ids)}
        self._ptrs: dict[str, NDArray[np.int64]] = {}
        self._chunks = {name: ChunkReader(store / name, self._arrays[name]) for name in schema.stored()}

    def ptr(self, dim: str) -> NDArray[np.int64]:
        """Bounds of the videos along a leading dimension, `[len(ids) + 1]`: video i has rows `ptr[i]:ptr[i + 1]`.

        Raises:
            ArtifactError: if they do not rise from 0 to the number of rows, or are damaged.
        """
        if dim not in self._ptrs:
            bounds = self.array(f"{dim}_ptr")
            rows = {self.shape(name)[0] for name, spec in self.schema.arrays.items() if spec.dims[0] == dim}
            if bounds[0] != 0 or (np.diff(bounds) < 0).any() or rows != {int(bounds[-1])}:
                again = _run_again(self.store, self.schema)
                raise ArtifactError(f"{self.store}: `{dim}_ptr` does not rise from 0 to the number of rows: {again}")
            self._ptrs[dim] = bounds
        return self._ptrs[dim]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array over all videos, `(rows, ...)`."""
        return tuple(self._arrays[name].shape)

    def num_bytes(self, name: str) -> int:
        """Bytes that an array takes in memory, in its stored type."""
        return int(self._arrays[name].nbytes)

    def array(self, name: str) -> NDArray[Any]:
        """A whole array: the rows of all videos, one after another. Raises ArtifactError if it is damaged."""
        return self._rows(name, 0, self.shape(name)[0])

    def video(self, video_id: str, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """The rows of one video by array, of all arrays or of those in `names`.

        Raises:
            ArtifactError: if an array is damaged.
        """
        row = self._numbers[video_id]
        rows: dict[str, NDArray[Any]] = {}
        for name in names if names is not None else self.schema.arrays:
            dim = self.schema.arrays[name].dims[0]
            bounds = (row, row + 1) if dim == "video" else (int(self.ptr(dim)[row]), int(self.ptr(dim)[row + 1]))
            rows[name] = self._rows(name, *bounds)
        return rows

    def row(self, video_id: str) -> int:
        """Number of a video in the order of the store, from 0."""
        return self._numbers[video_id]

    def part(self, video_id: str, name: str, start: int, stop: int) -> NDArray[Any]:
        """Some rows of one video, of an array that has many: those from `start` up to, without, `stop` of the video.

        Raises:
            ArtifactError: if the array is damaged.
            IndexError: if the video does not have these rows.
        """
        row = self._numbers[video_id]
        first, end = (int(bound) for bound in self.ptr(self.schema.arrays[name].dims[0])[row : row + 2])
        if not 0 <= start <= stop <= end - first:
            raise IndexError(f"rows {start} to {stop} of `{name}` of {video_id}, which has {end - first}")
        return self._rows(name, first + start, first + stop)

    def _rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        try:
            return self._chunks[name].rows(start, stop)
        except (ValueError, OSError, RuntimeError) as error:  # a wrong checksum, a short shard, another size
            again = _run_again(self.store, self.schema)
            raise ArtifactError(f"{self.store}: array `{name}` is damaged ({error}): {again}") from error


def _run_again(store: Path, schema: Schema) -> str:
    return f"delete the store and run {schema.stage} again: snakemake {store}/zarr.json"


def read(path: Path, schema: Schema) -> Artifact:
    """Open an artifact.

    Args:
        path: The store's folder or its `zarr.json`.
        schema: The schema that it is expected to have.

    Raises:
        ArtifactError: if it is missing, unfinished, damaged, of another kind or another version; says what was found,
            what was expected and which stage to run again.
    """
    store = store_path(path)
    again = _run_again(store, schema)
    if not (store / "zarr.json").is_file():
        unfinished = store.with_name(f".{store.name}.partial").is_dir()
        state = "is not finished" if unfinished else "does not exist" if not store.exists() else "is not complete"
        raise ArtifactError(f"{store} {state}: run {schema.stage} (snakemake {store}/zarr.json)")
    try:
        root = zarr.open_group(store, mode="r")
        found = f"{root.attrs['schema']} version {root.attrs['version']}"
        _check_attributes(dict(root.attrs))
        arrays = dict(root.arrays())
    except (KeyError, ValueError, OSError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ArtifactError(f"{store} is no readable artifact of this workflow ({error!r}): {again}") from error
    expected = f"{schema.name} version {schema.version}"
    if found != expected:
        raise ArtifactError(f"{store} holds {found}, expected {expected}: {again}")
    _check_arrays(store, schema, arrays, again)
    num_videos = len(root.attrs["ids"])  # type: ignore[arg-type]
    lengths = {name: num_videos for name, spec in schema.arrays.items() if spec.dims[0] == "video"}
    lengths |= {f"{dim}_ptr": num_videos + 1 for dim in schema.ragged()}
    for name, length in lengths.items():
        found_rows = arrays[name].shape[0]
        if found_rows != length:
            raise ArtifactError(f"{store}: array `{name}` has {found_rows} rows, expected {length}: {again}")
    return Artifact(store, schema, root)


def _check_attributes(attributes: Mapping[str, Any]) -> None:
    ids, failed, data_digest = (attributes[key] for key in ("ids", "failed", "digest"))
    if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids) or len(set(ids)) < len(ids):
        raise ValueError("its ids are no list of different texts")
    if not isinstance(failed, dict) or not all(isinstance(reason, str) for reason in failed.values()):
        raise ValueError("what failed is no mapping of texts")
    suspect = attributes.get("suspect", {})
    if not isinstance(suspect, dict) or not all(i in ids and isinstance(why, str) for i, why in suspect.items()):
        raise ValueError("what is suspect is no mapping of its ids to texts")
    if not isinstance(data_digest, str):
        raise TypeError("its digest is no text")


def _check_arrays(store: Path, schema: Schema, arrays: Mapping[str, Any], again: str) -> None:
    """Check that every array is there with its type and dimensions, and every file that holds its rows.

    A shard ends with 16 bytes for each of its chunks: an array cannot claim more rows than its files could hold.
    """
    for name, spec in schema.stored().items():
        array = arrays.get(name)
        if array is None:
            raise ArtifactError(f"{store}: array `{name}` is missing: {again}")
        if array.dtype != np.dtype(spec.dtype) or array.ndim != len(spec.dims):
            raise ArtifactError(
                f"{store}: array `{name}` is {array.dtype} of {array.ndim} dimensions, "
                f"expected {spec.dtype} {spec.dims}: {again}"
            )
        if 0 in array.shape:
            continue
        chunk_bytes = math.prod((array.chunks[0], *array.shape[1:])) * array.dtype.itemsize
        if array.shards is None or array.chunks[1:] != array.shape[1:] or chunk_bytes > MAX_CHUNK_BYTES:
            raise ArtifactError(f"{store}: array `{name}` is not laid out as this workflow does: {again}")
        num_shards = -(-array.shape[0] // array.shards[0])
        index_bytes = array.shards[0] // array.chunks[0] * INDEX_ENTRY_BYTES
        for shard in range(num_shards):
            file = store.joinpath(name, "c", str(shard), *["0"] * (array.ndim - 1))
            inside = file.relative_to(store)
            if not file.is_file():
                raise ArtifactError(f"{store}: file {inside} is missing: {again}")
            if file.stat().st_size < index_bytes:
                raise ArtifactError(f"{store}: array `{name}` is damaged ({inside} is cut off): {again}")
