"""Write and read the workflow's artifacts.

A store that exists is complete: it is written beside its place and renamed into it. While a job runs, the videos done
so far stand in a hidden sibling folder, `.<name>.partial`: one file of raw rows an array and a journal with a line a
video. A killed job continues after the last line of the journal, if settings, code and inputs are still the same. (Rows
are appended to plain files because appending to a sharded Zarr array rewrites a whole shard.) At the end the rows
become a Zarr v3 group with checksummed chunks in a few shard files.

The root `zarr.json` depends on the data alone, so equal data gives an equal file and nothing below runs again. How it
was made stands in the child group `provenance`. Neither holds a time, a host or an absolute path.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TextIO

import numpy as np
import zarr
from numpy.typing import NDArray
from pydantic import BaseModel
from zarr.codecs import Crc32cCodec, ZstdCodec

from pipeline.code_digest import digest as code_digest
from pipeline.errors import PipelineError
from pipeline.schemas import ArraySpec, Schema

CHUNK_BYTES = 2**20
SHARD_CHUNKS = 64
VERSIONED = ("av", "decord2", "lightning", "numpy", "open_clip_torch", "torch", "torch_geometric", "torchvision")


class ArtifactError(PipelineError):
    """An artifact is missing, damaged, foreign or of another version."""


def store_path(path: Path) -> Path:
    """The store's folder, given it or its `zarr.json`."""
    return path.parent if path.name == "zarr.json" else path


def _shorten(name: str, digest_bytes: bytes) -> str:
    return f"{name}:{digest_bytes.hex()[:32]}"


def file_digest(path: Path) -> str:
    """Digest of an input: the data digest of a store, or the SHA-256 of a file."""
    root = path / "zarr.json" if path.is_dir() else path
    if root.name == "zarr.json":
        return str(json.loads(root.read_text())["attributes"]["digest"])
    with root.open("rb") as file:
        return _shorten("sha256", hashlib.file_digest(file, "sha256").digest())


def _as_json(settings: BaseModel | Mapping[str, Any]) -> Any:
    return settings.model_dump(mode="json") if isinstance(settings, BaseModel) else dict(settings)


class Writer:
    """Makes one artifact, video by video. Use it through `create`."""

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
        arrays = {name: self._committed(name, spec) for name, spec in self.schema.arrays.items()}
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
        root = zarr.create_group(folder, attributes={**content, "digest": _data_digest(arrays, content)})
        for name, array in arrays.items():
            _write_array(root, name, array, dims[name])
        root.create_group("provenance", attributes=self.provenance)

    def _committed(self, name: str, spec: ArraySpec) -> NDArray[Any]:
        shape = (self._num_rows(spec), *self.tails.get(name, [0] * (len(spec.dims) - 1)))
        dtype = np.dtype(spec.dtype).newbyteorder("<")
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.memmap(self.partial / f"{name}.rows", dtype, "r", shape=shape)


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


def _data_digest(arrays: Mapping[str, NDArray[Any]], content: Mapping[str, Any]) -> str:
    """Digest of ids and arrays, a few rows at a time so that large arrays need no memory."""
    state = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        state.update(f"{name} {array.dtype.str} {array.shape}".encode())
        for rows in _blocks(array):
            state.update(np.ascontiguousarray(array[rows]).data)
    return _shorten("sha256", state.digest())


def _chunk_rows(array: NDArray[Any]) -> int:
    row_bytes = max(1, array.nbytes // max(1, len(array)))
    return max(1, min(len(array), CHUNK_BYTES // row_bytes))


def _blocks(array: NDArray[Any]) -> Iterable[slice]:
    step = _chunk_rows(array) * SHARD_CHUNKS
    return (slice(start, min(start + step, len(array))) for start in range(0, len(array), step))


def _write_array(root: zarr.Group, name: str, array: NDArray[Any], dims: tuple[str, ...]) -> None:
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


def create(
    path: Path,
    schema: Schema,
    *,
    ids: Sequence[str],
    stage: str,
    settings: BaseModel | Mapping[str, Any],
    inputs: Mapping[str, Path],
) -> Writer:
    """Start, or continue, an artifact.

    Args:
        path: The store's folder or its `zarr.json`.
        schema: What the store will hold.
        ids: All its videos, in the order in which they are committed.
        stage: The stage that makes it.
        settings: The settings that decide its values.
        inputs: The artifacts and files it is made from, by name.

    Returns:
        A context manager: leaving it without an error checks and publishes the store.
    """
    provenance = {
        "stage": stage,
        "settings": _as_json(settings),
        "code": code_digest(stage),
        "inputs": {name: file_digest(input_path) for name, input_path in sorted(inputs.items())},
        "versions": _versions(),
    }
    return Writer(store_path(path), schema, ids, provenance)


def _versions() -> dict[str, str]:
    """Versions of the libraries in use that decide values, and of this package."""
    modules = {"decord2": "decord", "open_clip_torch": "open_clip"}
    used = [name for name in VERSIONED if modules.get(name, name) in sys.modules]
    python = ".".join(str(part) for part in sys.version_info[:2])
    return {"python": python, **{name: importlib.metadata.version(name) for name in ("clipgraph", *used)}}


class Artifact:
    """A complete store, open for reading.

    Attributes:
        ids: The videos it holds, in order.
        failed: The videos that were left out, with the reason.
        digest: Digest of the data.
    """

    def __init__(self, store: Path, schema: Schema, root: zarr.Group) -> None:
        self.store = store
        self.schema = schema
        self.ids: list[str] = list(root.attrs["ids"])  # type: ignore[arg-type]
        self.failed: dict[str, str] = dict(root.attrs["failed"])  # type: ignore[arg-type]
        self.digest = str(root.attrs["digest"])
        self._arrays: dict[str, zarr.Array[Any]] = dict(root.arrays())
        self._numbers = {video_id: number for number, video_id in enumerate(self.ids)}
        self._ptrs: dict[str, NDArray[np.int64]] = {}
        self._blocks: dict[str, tuple[int, NDArray[Any]]] = {}  # of each array, the rows decoded last and their start

    def ptr(self, dim: str) -> NDArray[np.int64]:
        """Bounds of the videos along a leading dimension, `[len(ids) + 1]`."""
        if dim not in self._ptrs:
            self._ptrs[dim] = self.array(f"{dim}_ptr")
        return self._ptrs[dim]

    def array(self, name: str) -> NDArray[Any]:
        """A whole array, all videos one after another."""
        return self._read(name, slice(None))

    def video(self, video_id: str, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """The rows of one video, of all arrays or of those named."""
        row = self._numbers[video_id]
        rows: dict[str, NDArray[Any]] = {}
        for name in names if names is not None else self.schema.arrays:
            dim = self.schema.arrays[name].dims[0]
            bounds = (row, row + 1) if dim == "video" else (int(self.ptr(dim)[row]), int(self.ptr(dim)[row + 1]))
            rows[name] = self._rows_of(name, *bounds)
        return rows

    def _rows_of(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Some rows. Zarr decodes whole chunks; they are kept, because the next video's rows follow."""
        first, block = self._blocks.get(name, (0, None))
        if block is None or start < first or stop > first + len(block):
            step = self._arrays[name].chunks[0]
            first = start // step * step
            block = self._read(name, slice(first, -(-stop // step) * step))
            self._blocks[name] = (first, block)
        return block[start - first : stop - first].copy()

    def _read(self, name: str, rows: slice) -> NDArray[Any]:
        try:
            return np.asarray(self._arrays[name][rows])
        except (ValueError, RuntimeError, OSError) as error:  # what Zarr raises on a bad checksum or a short shard
            raise ArtifactError(
                f"{self.store}: array `{name}` is damaged ({error}): {_run_again(self.store, self.schema)}"
            ) from error


def _run_again(store: Path, schema: Schema) -> str:
    return f"delete the store and run {schema.stage} again: snakemake {store}/zarr.json"


def read(path: Path, schema: Schema) -> Artifact:
    """Open an artifact.

    Args:
        path: The store's folder or its `zarr.json`.
        schema: What it is expected to hold.

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
        arrays = dict(root.arrays())
    except (KeyError, ValueError, OSError) as error:
        raise ArtifactError(f"{store} is no readable artifact of this workflow ({error!r}): {again}") from error
    expected = f"{schema.name} version {schema.version}"
    if found != expected:
        raise ArtifactError(f"{store} holds {found}, expected {expected}: {again}")
    _check_arrays(store, schema, arrays, again)
    return Artifact(store, schema, root)


def _check_arrays(store: Path, schema: Schema, arrays: Mapping[str, Any], again: str) -> None:
    """Every array is there with its type and dimensions, and so is every file that holds its rows."""
    specs = {**schema.arrays, **{f"{dim}_ptr": ArraySpec("i8", ("video_bound",)) for dim in schema.ragged()}}
    for name, spec in specs.items():
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
        num_shards = -(-array.shape[0] // array.shards[0])
        for shard in range(num_shards):
            file = store.joinpath(name, "c", str(shard), *["0"] * (array.ndim - 1))
            if not file.is_file():
                raise ArtifactError(f"{store}: file {file.relative_to(store)} is missing: {again}")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON artifact: sorted keys, one item a line, renamed into place when complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)


def read_json(path: Path, keys: Sequence[str], stage: str) -> dict[str, Any]:
    """Read a JSON artifact.

    Args:
        path: The file.
        keys: What it must hold at its top.
        stage: The stage that makes it.

    Raises:
        ArtifactError: if it is missing, no JSON, or lacks a key.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist: run {stage} (snakemake {path})") from error
    except ValueError as error:
        raise ArtifactError(
            f"{path} is no JSON ({error}): delete it and run {stage} again (snakemake {path})"
        ) from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise ArtifactError(f"{path} lacks {', '.join(missing)}: delete it and run {stage} again (snakemake {path})")
    return dict(content)
