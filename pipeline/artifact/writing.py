"""Write one artifact, video by video, so that a killed job can continue and a store that exists is complete.

While a job runs, the videos done so far stand in a hidden sibling folder, `.<name>.partial`: one file of raw rows for
each array, and a journal with one line for each video. A killed job continues after the last line of the journal, if
settings, code and inputs are still the same. (Rows are appended to plain files because appending to a sharded Zarr
array rewrites a whole shard.) At the end the rows become a Zarr v3 group with checksummed chunks in a few shard files.

A line of the journal has a checksum of itself and of the video's rows. The first damaged video and all that come after
it are made again. One process at a time writes a store. SIGTERM ends the process after the next commit.
"""

import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import cache
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from pipeline.artifact.chunks import Rows
from pipeline.artifact.inputs import record_inputs
from pipeline.artifact.journal import checksum, read_lines, to_line
from pipeline.artifact.reading import store_path
from pipeline.artifact.recovery import recover
from pipeline.artifact.rows import CommittedRows, root_content, write_root
from pipeline.jobs import preemption
from pipeline.jobs.storage import require_writable, sole_writer, write_all, writing
from pipeline.schemas import ArraySpec, Schema
from pipeline.workflow.code_digest import digest as code_digest
from pipeline.workflow.own_version import version

log = logging.getLogger(__name__)


class Writer:
    """Makes one artifact, video by video. `create` builds it, to be used in a `with` statement."""

    def __init__(self, store: Path, schema: Schema, ids: Sequence[str], provenance: dict[str, Any]) -> None:
        self.store = store
        self.schema = schema
        self.ids = list(ids)
        self.provenance = provenance
        self.partial = store.with_name(f".{store.name}.partial")
        self.rows: list[dict[str, int]] = []
        self.done: list[str] = []
        self.failed: dict[str, str] = {}
        self.suspect: dict[str, str] = {}
        self.tails: dict[str, list[int]] = {}
        self.is_complete = False  # the store was finished by a job whose end Snakemake missed
        self.lock = self.partial / "lock"
        self.held = ExitStack()  # what `__exit__` ends: the lock, the open files, and the deferring of SIGTERM
        self.files: dict[str, FileIO] = {}
        self.journal: FileIO

    @property
    def stage(self) -> str:
        """Name of the stage that makes the artifact."""
        return str(self.provenance["stage"])

    @property
    def remaining(self) -> list[str]:
        """Ids of the videos that are neither appended nor failed yet, in order."""
        return self.ids[len(self.done) + len(self.failed) :]

    def append(self, video_id: str, suspect: str | None = None, /, **arrays: NDArray[Any]) -> None:
        """Commit the rows of the next video.

        Args:
            video_id: Id of the video, which must be the first of `remaining`.
            suspect: Why the video's rows may be wrong; None if nothing was noticed.
            **arrays: Every array of the schema by name, `[rows, ...]`. Arrays of one leading dimension have equally
                many rows.

        Raises:
            ValueError: if it is another video's turn, an array is missing or has the wrong shape or kind of numbers, or
                holds numbers that its stored type cannot.
            PipelineError: if the disk is full or closed to this user; what was committed before stays.
            Preempted: if SIGTERM came, and videos remain.
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
        with self._writing(sum(len(content) for content in data.values())):
            for name, content in data.items():
                write_all(self.files[name].fileno(), content)
            sums = {name: checksum(content) for name, content in data.items()}
            entry = {"id": video_id, "rows": rows, "tails": self.tails, "checksums": sums}
            self._commit(entry if suspect is None else entry | {"suspect": suspect})
        self.rows.append(rows)
        self.done.append(video_id)
        if suspect is not None:
            log.info("suspect: %s: %s", video_id, suspect)
            self.suspect[video_id] = suspect
        self._stop_if_requested()

    def fail(self, video_id: str, reason: str) -> None:
        """Commit the reason why the next video is left out. Raises what `append` raises."""
        self._expect(video_id)
        log.info("left out: %s: %s", video_id, reason)
        with self._writing():
            self._commit({"id": video_id, "failed": reason})
        self.failed[video_id] = reason
        self._stop_if_requested()

    def _expect(self, video_id: str) -> None:
        if not self.remaining or video_id != self.remaining[0]:
            raise ValueError(f"videos are committed in order: {video_id} came, {self.remaining[:1]} was next")

    def _commit(self, entry: dict[str, Any]) -> None:
        write_all(self.journal.fileno(), to_line(entry))

    def _writing(self, needed: int | None = None) -> AbstractContextManager[None]:
        kept = len(self.ids) - len(self.remaining)
        return writing(self.store, needed, f"{kept} of {len(self.ids)} videos stay committed")

    def _stop_if_requested(self) -> None:
        if self.remaining:  # after the last video the store is completed first
            preemption.stop_if_requested(f"after {len(self.ids) - len(self.remaining)} of {len(self.ids)} videos")

    def __enter__(self) -> Self:
        require_writable(self.store)
        with ExitStack() as held:
            held.enter_context(sole_writer(self.lock, self.store))
            held.enter_context(preemption.deferring_sigterm())
            with writing(self.store):
                self._start()
                for name in self.schema.arrays:
                    self.files[name] = held.enter_context((self.partial / f"{name}.rows").open("ab", buffering=0))
                self.journal = held.enter_context((self.partial / "journal.jsonl").open("ab", buffering=0))
            self.held = held.pop_all()
        if (self.done or self.failed) and not self.is_complete:
            kept = len(self.done) + len(self.failed)
            log.info("continuing after %d of %d videos", kept, len(self.ids))
        return self

    def _start(self) -> None:
        """Continue an unfinished store or take a complete one over; otherwise begin with an empty partial folder."""
        run_key = hashlib.sha256(json.dumps([self.provenance, self.ids], sort_keys=True).encode()).hexdigest().encode()
        key_file = self.partial / "run_key"
        if key_file.is_file() and key_file.read_bytes() == run_key:
            self._resume()
        elif root := recover(self.store, self.schema, self.ids, self.provenance):
            self.done, self.failed, self.is_complete = root["ids"], root["failed"], True
            self._empty()
        else:
            if key_file.is_file():
                log.info(
                    "starting afresh: what is unfinished of %s is of other settings, code or inputs, or damaged",
                    self.store,
                )
            self._empty()
            key_file.write_bytes(run_key)

    def _empty(self) -> None:
        for path in self.partial.iterdir():
            if path != self.lock:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _resume(self) -> None:
        """Take over what a killed job committed, up to the first video whose line or rows are damaged."""
        journal = self.partial / "journal.jsonl"
        journal.touch()
        entries, ends, is_damaged = read_lines(journal.read_bytes())
        with ExitStack() as opened:
            files = {}
            for name in self.schema.arrays:
                (self.partial / f"{name}.rows").touch()
                files[name] = opened.enter_context((self.partial / f"{name}.rows").open("rb"))
            for entry in entries:
                if entry["id"] not in self.remaining[:1] or not self._are_intact(entry, files):
                    is_damaged = True
                    break
                if "failed" in entry:
                    self.failed[entry["id"]] = entry["failed"]
                else:
                    self.done.append(entry["id"])
                    self.rows.append(entry["rows"])
                    self.tails = entry["tails"]
                    self.suspect |= {entry["id"]: entry["suspect"]} if "suspect" in entry else {}
        num = len(self.done) + len(self.failed)
        if is_damaged:
            log.info("%s is damaged after %d videos: the others are made again", self.partial, num)
        os.truncate(journal, ends[num - 1] if num else 0)
        for name, spec in self.schema.arrays.items():
            os.truncate(self.partial / f"{name}.rows", self._num_rows(spec) * self._row_bytes(name, spec))

    def _are_intact(self, entry: dict[str, Any], files: Mapping[str, BinaryIO]) -> bool:
        """Whether the files' next rows have an entry's checksums: a machine may go down before rows are on the disk."""
        if "failed" in entry:
            return True
        rows = {"video": 1, **entry["rows"]}
        for name, spec in self.schema.arrays.items():
            row_items = int(np.prod(entry["tails"][name], dtype=int))
            content = files[name].read(rows[spec.dims[0]] * row_items * np.dtype(spec.dtype).itemsize)
            if checksum(content) != entry["checksums"][name]:
                return False
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
        with self.held:
            if kind is not None:
                return  # the next call takes over what was committed
            if self.remaining:
                raise ValueError(f"{self.store.name}: {len(self.remaining)} videos were neither appended nor failed")
            with self._writing(self._num_bytes()):
                self._publish()
        with suppress(OSError):
            self.partial.rmdir()  # only the lock was left in it

    def _publish(self) -> None:
        """Write the committed rows as a Zarr store and rename it into its place."""
        for file in (*self.files.values(), self.journal):
            file.close()  # network file systems may report a full disk only here
        if self.is_complete:
            self._empty()
            return
        new = self.store.with_name(f".{self.store.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        try:
            self._write_store(new)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)  # gives the room back
            raise
        if self.store.exists():
            shutil.rmtree(self.store)  # renaming over a folder that is not empty fails
        new.rename(self.store)
        self._empty()

    def _num_bytes(self) -> int:
        """Bytes of the store at most, because its chunks are compressed."""
        return sum(self._committed(name, spec).nbytes for name, spec in self.schema.arrays.items())

    def _write_store(self, folder: Path) -> None:
        arrays: dict[str, Rows] = {name: self._committed(name, spec) for name, spec in self.schema.arrays.items()}
        for dim in self.schema.ragged():
            lengths = [rows[dim] for rows in self.rows]
            arrays[f"{dim}_ptr"] = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        content = root_content(self.schema, self.done, self.failed, self.suspect)
        root = write_root(folder, arrays, self.schema.stored(), content)
        provenance = {**self.provenance, "root": root.attrs.asdict()}  # the root is kept a second time for recovery.py
        root.create_group("provenance", attributes=provenance)

    def _committed(self, name: str, spec: ArraySpec) -> CommittedRows:
        shape = (self._num_rows(spec), *self.tails.get(name, [0] * (len(spec.dims) - 1)))
        return CommittedRows(self.partial / f"{name}.rows", np.dtype(spec.dtype).newbyteorder("<"), shape)


def _cast(array: NDArray[Any], name: str, spec: ArraySpec, video_id: str) -> NDArray[Any]:
    if array.ndim != len(spec.dims):
        raise ValueError(f"{name} of {video_id}: shape {array.shape}, expected dimensions {spec.dims}")
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    if array.dtype.kind == "f" and dtype.kind == "f":
        with np.errstate(over="ignore"):  # the check below finds it
            cast = array.astype(dtype, copy=False)
        if not _is_finite(cast):
            raise ValueError(f"{name} of {video_id}: not finite, or too large for {spec.dtype}")
        return np.ascontiguousarray(cast)
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    if limits is None or array.dtype.kind not in "iub":
        raise ValueError(f"{name} of {video_id}: {array.dtype} given, {spec.dtype} expected")
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise ValueError(f"{name} of {video_id}: values of {array.min()} to {array.max()} do not fit {spec.dtype}")
    return np.ascontiguousarray(array.astype(dtype, copy=False))


def _is_finite(array: NDArray[Any]) -> bool:
    if array.dtype.itemsize != 2:
        return bool(np.isfinite(array).all())
    # NumPy computes half precision in float32. Of these numbers, infinity and NaN alone have all bits of the exponent.
    exponent = array.view("<u2") & np.uint16(0x7C00)
    return bool((exponent != 0x7C00).all())


# Installed packages that decide the values of a store. A store names all of them, whatever its stage imports, so that a
# stage has the same provenance in every process and finds its unfinished work again.
VERSIONED = (
    "clipgraph",
    "av",
    "decord2",
    "numpy",
    "open_clip_torch",
    "pillow",
    "torch",
    "torch_geometric",
    "torchvision",
)


def _as_json(settings: BaseModel | Mapping[str, Any]) -> Any:
    return settings.model_dump(mode="json") if isinstance(settings, BaseModel) else dict(settings)


def create(
    path: Path,
    schema: Schema,
    *,
    ids: Sequence[str],
    stage: str,
    settings: BaseModel | Mapping[str, Any],
    inputs: Mapping[str, Path],
) -> Writer:
    """Start to make an artifact, or continue an unfinished one.

    Args:
        path: The store's folder or its `zarr.json`.
        schema: The schema of the store.
        ids: Ids of all its videos, in the order in which they are committed.
        stage: Name of the stage that makes it.
        settings: The settings that decide its values.
        inputs: The artifacts and files it is made from, by name.

    Returns:
        A context manager that gives the writer. Leaving it without an error completes the store and puts it in its
        place; it raises ValueError if videos remain.
    """
    provenance = {
        "stage": stage,
        "settings": _as_json(settings),
        "code": code_digest(stage),
        "inputs": record_inputs(inputs),
        "versions": versions(),
    }
    return Writer(store_path(path), schema, ids, provenance)


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages in `VERSIONED`, by name; none of them is imported."""
    python = ".".join(str(part) for part in sys.version_info[:2])
    return {"python": python, **{name: version(name) for name in VERSIONED}}
