"""Write one artifact, video by video, so that a killed job can continue and a store that exists is complete.

While a job runs, the videos done so far stand in a hidden sibling folder, `.<name>.partial`: one file of raw rows an
array and a journal with a line a video. A killed job continues after the last line of the journal, if settings, code
and inputs are still the same. (Rows are appended to plain files because appending to a sharded Zarr array rewrites a
whole shard.) At the end the rows become a Zarr v3 group with checksummed chunks in a few shard files.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self, TextIO

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from pipeline.schemas import ArraySpec, Schema

CHUNK_BYTES = 2**18  # about a video: training reads them at random, and a chunk is decoded whole
SHARD_CHUNKS = 256  # 64 MB a file


class Writer:
    """Makes one artifact, video by video. Use it through `pipeline.artifact.create`."""

    def __init__(self, store: Path, schema: Schema, ids: Sequence[str], provenance: dict[str, Any]) -> None:
        self.store = store
        self.schema = schema
        self.ids = list(ids)
        self.provenance = provenance
        self.partial = store.with_name(f".{store.name}.partial")
        self.rows: list[dict[str, int]] = []
        self.done: list[str] = []
        self.failed: dict[str, str] = {}
        self.tails: dict[str, list[int]] = {}
        self.files: dict[str, BinaryIO] = {}
        self.journal: TextIO

    @property
    def remaining(self) -> list[str]:
        """The videos that are not yet committed, in order."""
        return self.ids[len(self.done) + len(self.failed) :]

    def append(self, video_id: str, **arrays: NDArray[Any]) -> None:
        """Commit the rows of the next video.

        Args:
            video_id: The first of `remaining`.
            **arrays: Every array of the schema, `[rows, ...]`; arrays of one leading dimension have equally many rows.

        Raises:
            ValueError: if an array is missing, has the wrong shape, or holds numbers its type cannot.
        """
        self._expect(video_id)
        rows: dict[str, int] = {}
        data: dict[str, bytes] = {}
        if arrays.keys() != self.schema.arrays.keys():
            raise ValueError(f"{self.schema.name}: expected arrays {sorted(self.schema.arrays)}, got {sorted(arrays)}")
        for name, spec in self.schema.arrays.items():
            array = _cast(np.asarray(arrays[name]), name, spec, video_id)
            if rows.setdefault(spec.dims[0], len(array)) != len(array):
                raise ValueError(f"{name} of {video_id}: {len(array)} rows, but {rows[spec.dims[0]]} {spec.dims[0]}s")
            if self.tails.setdefault(name, list(array.shape[1:])) != list(array.shape[1:]):
                raise ValueError(f"{name} of {video_id}: rows of {array.shape[1:]}, others have {self.tails[name]}")
            data[name] = array.tobytes()
        if rows.pop("video", 1) != 1:
            raise ValueError(f"{self.schema.name} of {video_id}: arrays along `video` have one row a video")
        for name, rows_of_bytes in data.items():
            self.files[name].write(rows_of_bytes)
            self.files[name].flush()
        self._commit({"id": video_id, "rows": rows, "tails": self.tails})
        self.rows.append(rows)
        self.done.append(video_id)

    def fail(self, video_id: str, reason: str) -> None:
        """Record why the next video is left out."""
        self._expect(video_id)
        print(f"left out: {video_id}: {reason}", file=sys.stderr)
        self._commit({"id": video_id, "failed": reason})
        self.failed[video_id] = reason

    def _expect(self, video_id: str) -> None:
        if not self.remaining or video_id != self.remaining[0]:
            raise ValueError(f"videos are committed in order: {video_id} came, {self.remaining[:1]} was next")

    def _commit(self, entry: dict[str, Any]) -> None:
        self.journal.write(json.dumps(entry) + "\n")
        self.journal.flush()

    def __enter__(self) -> Self:
        self.store.parent.mkdir(parents=True, exist_ok=True)
        run_key = hashlib.sha256(json.dumps([self.provenance, self.ids], sort_keys=True).encode()).hexdigest()
        key_file = self.partial / "run_key"
        if not (key_file.is_file() and key_file.read_text() == run_key and self._resume()):
            shutil.rmtree(self.partial, ignore_errors=True)
            self.partial.mkdir()
            self.rows, self.done, self.failed, self.tails = [], [], {}, {}
            key_file.write_text(run_key)
        for name in self.schema.arrays:
            self.files[name] = (self.partial / f"{name}.rows").open("ab")
        self.journal = (self.partial / "journal.jsonl").open("a", encoding="utf-8")
        if self.done or self.failed:
            print(f"continuing after {len(self.done) + len(self.failed)} of {len(self.ids)} videos", file=sys.stderr)
        return self

    def _resume(self) -> bool:
        """Take over what a killed job committed; False if the partial files cannot be trusted."""
        journal = self.partial / "journal.jsonl"
        if not journal.is_file():
            return False
        lines = journal.read_bytes().split(b"\n")
        whole = lines[:-1]  # a line without its end was being written when the job was killed
        for line in whole:
            entry = json.loads(line)
            if "failed" in entry:
                self.failed[entry["id"]] = entry["failed"]
            else:
                self.done.append(entry["id"])
                self.rows.append(entry["rows"])
                self.tails = entry["tails"]
        os.truncate(journal, sum(len(line) + 1 for line in whole))
        for name, spec in self.schema.arrays.items():
            file = self.partial / f"{name}.rows"
            file.touch()
            committed = self._num_rows(spec) * self._row_bytes(name, spec)
            if file.stat().st_size < committed:  # the machine went down before the rows reached the disk
                return False
            os.truncate(file, committed)
        return True

    def _num_rows(self, spec: ArraySpec) -> int:
        if spec.dims[0] == "video":
            return len(self.done)
        return sum(rows[spec.dims[0]] for rows in self.rows)

    def _row_bytes(self, name: str, spec: ArraySpec) -> int:
        return int(np.dtype(spec.dtype).itemsize * np.prod(self.tails.get(name, [0] * (len(spec.dims) - 1)), dtype=int))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in self.files.values():
            file.close()
        self.journal.close()
        if kind is not None:
            return  # what was committed stays for the next call
        if self.remaining:
            raise ValueError(f"{self.store.name}: {len(self.remaining)} videos were neither appended nor failed")
        new = self.store.with_name(f".{self.store.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        self._write_store(new)
        if self.store.exists():
            shutil.rmtree(self.store)  # renaming over a folder that is not empty fails
        new.rename(self.store)
        shutil.rmtree(self.partial)

    def _write_store(self, folder: Path) -> None:
        arrays: dict[str, Rows] = {name: self._committed(name, spec) for name, spec in self.schema.arrays.items()}
        dims = {name: spec.dims for name, spec in self.schema.arrays.items()}
        for dim in self.schema.ragged():
            lengths = [rows[dim] for rows in self.rows]
            arrays[f"{dim}_ptr"] = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
            dims[f"{dim}_ptr"] = ("video_bound",)
        content = {
            "schema": self.schema.name,
            "version": self.schema.version,
            "ids": self.done,
            "failed": dict(sorted(self.failed.items())),
        }
        root = zarr.create_group(folder, attributes={**content, "digest": data_digest(arrays, content)})
        for name, array in arrays.items():
            _write_array(root, name, array, dims[name])
        root.create_group("provenance", attributes=self.provenance)

    def _committed(self, name: str, spec: ArraySpec) -> "CommittedRows":
        shape = (self._num_rows(spec), *self.tails.get(name, [0] * (len(spec.dims) - 1)))
        return CommittedRows(self.partial / f"{name}.rows", np.dtype(spec.dtype).newbyteorder("<"), shape)


@dataclass(frozen=True)
class CommittedRows:
    """An array in a file of raw rows, read a slice at a time: a memory map would count towards a job's memory.

    Attributes:
        path: The file.
        dtype: Type of the numbers.
        shape: Of the whole array.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return int(self.dtype.itemsize * np.prod(self.shape, dtype=int))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, _ = rows.indices(len(self))
        row_items = int(np.prod(self.shape[1:], dtype=int))
        offset = start * row_items * self.dtype.itemsize
        items = np.fromfile(self.path, self.dtype, (stop - start) * row_items, offset=offset)
        return items.reshape(stop - start, *self.shape[1:])


def _cast(array: NDArray[Any], name: str, spec: ArraySpec, video_id: str) -> NDArray[Any]:
    if array.ndim != len(spec.dims):
        raise ValueError(f"{name} of {video_id}: shape {array.shape}, expected dimensions {spec.dims}")
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    if array.dtype.kind == "f" and dtype.kind == "f":
        with np.errstate(over="ignore"):  # looked at below
            cast = array.astype(dtype)
        if not np.isfinite(cast).all():
            raise ValueError(f"{name} of {video_id}: not finite, or too large for {spec.dtype}")
        return np.ascontiguousarray(cast)
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    if limits is None or array.dtype.kind not in "iub":
        raise ValueError(f"{name} of {video_id}: {array.dtype} given, {spec.dtype} expected")
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise ValueError(f"{name} of {video_id}: values of {array.min()} to {array.max()} do not fit {spec.dtype}")
    return np.ascontiguousarray(array.astype(dtype))


class Rows(Protocol):
    """An array, in memory or in a file, of which slices of rows are taken."""

    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    @property
    def nbytes(self) -> int: ...  # noqa: D102

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]: ...


def data_digest(arrays: Mapping[str, Rows], content: Mapping[str, Any]) -> str:
    """Digest of a store's data, a few rows at a time so that large arrays need no memory.

    Args:
        arrays: Of the schema, with the bounds.
        content: What the root says of itself: `schema`, `version`, `ids`, `failed`.
    """
    state = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        state.update(f"{name} {array.dtype.str} {array.shape}".encode())
        for rows in _blocks(array):
            state.update(np.ascontiguousarray(array[rows]).data)
    return short_digest(state)


def _chunk_rows(array: Rows) -> int:
    row_bytes = max(1, array.nbytes // max(1, len(array)))
    return max(1, min(len(array), CHUNK_BYTES // row_bytes))


def _blocks(array: Rows) -> Iterable[slice]:
    step = _chunk_rows(array) * SHARD_CHUNKS
    return (slice(start, min(start + step, len(array))) for start in range(0, len(array), step))


def _write_array(root: zarr.Group, name: str, array: Rows, dims: tuple[str, ...]) -> None:
    rows = _chunk_rows(array)
    tail = tuple(max(1, size) for size in array.shape[1:])
    num_chunks = max(1, min(SHARD_CHUNKS, -(-len(array) // rows)))
    stored = root.create_array(
        name,
        shape=array.shape,
        dtype=array.dtype,
        chunks=(rows, *tail),
        shards=(rows * num_chunks, *tail),  # a multiple of the chunk, as the codec demands
        compressors=[ZstdCodec(level=3), Crc32cCodec()],  # without crc32c a flipped bit goes unnoticed
        config={"write_empty_chunks": True},  # so that a chunk that is not there is damage, not zeros
        dimension_names=dims,
    )
    for block in _blocks(array):
        stored[block] = array[block]


def short_digest(state: Any) -> str:
    """A SHA-256, half as long: enough to tell artifacts apart."""
    return f"sha256:{state.hexdigest()[:32]}"
