"""Write and digest what a store holds: its arrays, and the attributes of its root.

Arrays are read from memory or from a file, one chunk of rows at a time, so that large ones need little memory. A Zarr
array has checksummed chunks of about a video in a few shard files.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from pipeline.artifact.chunks import ZSTD_LEVEL, Rows, _chunk_rows, _create_array, write_rows
from pipeline.schemas import VIDEO, ArraySpec, Schema


@dataclass(frozen=True)
class CommittedRows:
    """An array in a file of raw rows. Slices are read from it, as a memory map would count towards a job's memory.

    Attributes:
        path: The file of raw rows.
        dtype: Type of the numbers.
        shape: Shape of the whole array, `(rows, ...)`.
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


def root_content(
    schema: Schema, ids: Sequence[str], failed: Mapping[str, str], suspect: Mapping[str, str]
) -> dict[str, Any]:
    """The attributes of a store's root but for the digest; `suspect` is among them only if a video is suspect."""
    content = {
        "schema": schema.name,
        "version": schema.version,
        "ids": list(ids),
        "failed": dict(sorted(failed.items())),
    }
    return content | ({"suspect": dict(sorted(suspect.items()))} if suspect else {})


def write_root(
    folder: Path, arrays: Mapping[str, Rows], specs: Mapping[str, ArraySpec], content: Mapping[str, Any]
) -> zarr.Group:
    """Write arrays into a new store. Each is read once, and digested while it is written.

    Args:
        folder: Folder of the store, which does not exist yet.
        arrays: The arrays of the schema and their bounds, by name.
        specs: What each array is, by its name: its dimensions, and the sentence and unit that become its attributes.
        content: Attributes of the root, from `root_content`.

    Returns:
        The root group, whose attributes are `content` and the digest.
    """
    root = zarr.create_group(folder)
    state = _digest_of(content)
    for name in sorted(arrays):
        described = {"description": specs[name].says, "units": specs[name].unit}
        stored = _create_array(root, name, arrays[name], specs[name].dims, described)
        _begin(state, name, arrays[name])
        write_rows(folder / name, stored, arrays[name], state.update)
    _write_ids(root, content["ids"])
    return root.update_attributes({**content, "digest": short_digest(state)})


def _write_ids(root: zarr.Group, ids: Sequence[str]) -> None:
    """Write the ids as an array too, which xarray takes for the labels of the dimension `video`.

    The digest has them from the root's attributes already.
    """
    labels = root.create_array(
        VIDEO,
        shape=(len(ids),),
        dtype=str,
        chunks=(max(1, len(ids)),),
        compressors=[ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],
        config={"write_empty_chunks": True},
        dimension_names=(VIDEO,),
        attributes={"description": "Id of the video."},
    )
    labels[:] = np.array(ids, dtype=object)


def data_digest(arrays: Mapping[str, Rows], content: Mapping[str, Any]) -> str:
    """Digest of a store's arrays and root attributes, as `write_root` computes it."""
    state = _digest_of(content)
    for name in sorted(arrays):
        array = arrays[name]
        _begin(state, name, array)
        step = _chunk_rows(array)
        for start in range(0, len(array), step):
            state.update(np.ascontiguousarray(array[start : min(start + step, len(array))]))
    return short_digest(state)


def _digest_of(content: Mapping[str, Any]) -> Any:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode())


def _begin(state: Any, name: str, array: Rows) -> None:
    """Add an array's name, type and shape to a digest; its rows come next."""
    state.update(f"{name} {array.dtype.str} {array.shape}".encode())


def short_digest(state: Any) -> str:
    """The first half of a SHA-256 in hexadecimal, after `sha256:`; it is long enough to tell artifacts apart."""
    return f"sha256:{state.hexdigest()[:32]}"
