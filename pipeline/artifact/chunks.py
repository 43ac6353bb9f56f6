"""Create the Zarr arrays of a store, and write and read rows straight to and from the files that hold their chunks.

Zarr itself reads and writes a shard with an event loop and a pool of threads. Where a few rows are wanted at a time, as
in training, that takes longer than decoding them; and a shard that is written has to be in memory as a whole, four
times. The layout is that of the Zarr v3 specification (sharding codec, version
1.0): a file holds the chunks of a shard in any order, and at its end an index with two little-endian uint64 for each
chunk (offset, bytes) and a CRC32C. Chunks are little-endian, compressed by Zstandard and followed by a CRC32C.
"""

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from pipeline.jobs.storage import write_all

CHECKSUM_BYTES = 4
INDEX_ENTRY_BYTES = 16
NO_CHUNK = 2**64 - 1  # offset and bytes of a chunk that lies wholly behind the last row


class ChunkReader:
    """Reads rows of one array. The chunk decoded last is kept, because the next video's rows may be in it.

    Args:
        folder: Folder of the array.
        array: The Zarr array, which tells its shape, type, chunks and shards.
    """

    def __init__(self, folder: Path, array: "zarr.Array[Any]") -> None:
        shards = array.shards or array.chunks
        self.folder = folder
        self.dtype = np.dtype(array.dtype).newbyteorder("<")
        self.tail = tuple(array.shape[1:])
        self.chunk_rows = int(array.chunks[0])
        self.shard_chunks = int(shards[0]) // self.chunk_rows
        self._indices: dict[int, NDArray[np.uint64]] = {}
        self._last_number: int | None = None
        self._last: NDArray[Any] | None = None
        self._lock = threading.Lock()  # threads share the memory of the last chunk

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """A copy of the rows from `start` to `stop` (excluded), `[stop - start, ...]`.

        Raises:
            ValueError: if a checksum is wrong, or a chunk is missing or ends after its file.
            RuntimeError: if a chunk cannot be decoded to its size.
            OSError: if a file cannot be read.
        """
        rows = np.empty((stop - start, *self.tail), self.dtype)
        if rows.size:
            for number in range(start // self.chunk_rows, (stop - 1) // self.chunk_rows + 1):
                first = number * self.chunk_rows
                low, high = max(start, first), min(stop, first + self.chunk_rows)
                with self._lock:
                    rows[low - start : high - start] = self._chunk(number)[low - first : high - first]
        return rows

    def _chunk(self, number: int) -> NDArray[Any]:
        if self._last is None or self._last_number != number:
            self._last_number = None  # until the chunk is whole
            self._last = self._decode(number)
            self._last_number = number
        return self._last

    def _decode(self, number: int) -> NDArray[Any]:
        """A chunk, in the memory of the chunk before: fresh memory takes longer than decoding into it."""
        chunk = np.empty((self.chunk_rows, *self.tail), self.dtype) if self._last is None else self._last
        shard, place = divmod(number, self.shard_chunks)
        path = self.folder.joinpath("c", str(shard), *["0"] * len(self.tail))
        file = os.open(path, os.O_RDONLY)
        try:
            end = os.fstat(file).st_size
            if shard not in self._indices:
                size = self.shard_chunks * INDEX_ENTRY_BYTES + CHECKSUM_BYTES
                index = np.frombuffer(_checked(file, max(0, end - size), size, path), "<u8")
                self._indices[shard] = index.reshape(self.shard_chunks, 2)
            offset, num_bytes = (int(number) for number in self._indices[shard][place])
            if offset + num_bytes > end:
                raise ValueError(f"chunk {place} of {path.name} ends after the file")
            # into a chunk of the known size: a lying header could ask for any amount of memory
            Zstd().decode(_checked(file, offset, num_bytes, path), chunk)
        finally:
            os.close(file)
        return chunk


def _checked(file: int, offset: int, num_bytes: int, path: Path) -> bytes:
    """Part of a file without the checksum at its end; ValueError if that is wrong."""
    body = os.pread(file, max(0, num_bytes - CHECKSUM_BYTES), offset)
    checksum = os.pread(file, CHECKSUM_BYTES, offset + len(body))
    if google_crc32c.value(body) != int.from_bytes(checksum, "little"):
        raise ValueError(f"wrong checksum in {path.name} of {path.parent}")
    return body


CHUNK_BYTES = 2**18  # about a video's rows: training reads videos at random, and a chunk is decoded whole


SHARD_CHUNKS = 256  # 64 MB a file

ZSTD_LEVEL = 3


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


def _create_array(
    root: zarr.Group, name: str, array: Rows, dims: tuple[str, ...], attributes: Mapping[str, str] | None = None
) -> "zarr.Array[Any]":
    rows = _chunk_rows(array)
    tail = tuple(max(1, size) for size in array.shape[1:])
    num_chunks = max(1, min(SHARD_CHUNKS, -(-len(array) // rows)))
    return root.create_array(
        name,
        shape=array.shape,
        dtype=array.dtype,
        chunks=(rows, *tail),
        shards=(rows * num_chunks, *tail),  # a multiple of the chunk, as the codec demands
        compressors=[ZstdCodec(level=ZSTD_LEVEL), Crc32cCodec()],  # without crc32c a flipped bit goes unnoticed
        config={"write_empty_chunks": True},  # a chunk that is missing is then damage, not zeros
        dimension_names=dims,
        attributes=dict(attributes or {}),
    )


def _chunk_rows(array: Rows) -> int:
    row_bytes = max(1, array.nbytes // max(1, len(array)))
    return max(1, min(len(array), CHUNK_BYTES // row_bytes))


def write_rows(folder: Path, array: "zarr.Array[Any]", rows: Rows, written: Callable[[NDArray[Any]], None]) -> None:
    """Write the rows of a new array, as Zarr itself would write them, with one chunk in memory.

    Args:
        folder: Folder of the array.
        array: The Zarr array that `_create_array` made for these rows.
        rows: Its rows.
        written: Is given the rows of each chunk in turn.
    """
    if 0 in array.shape:
        return
    shards = array.shards or array.chunks
    chunk_rows = int(array.chunks[0])
    shard_chunks = int(shards[0]) // chunk_rows
    encoder = Zstd(level=ZSTD_LEVEL)
    for first in range(0, len(rows), int(shards[0])):
        path = folder.joinpath("c", str(first // int(shards[0])), *["0"] * (len(array.shape) - 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        index = np.full((shard_chunks, 2), NO_CHUNK, "<u8")
        offset = 0
        with path.open("xb", buffering=0) as file:
            for place, start in enumerate(range(first, min(first + int(shards[0]), len(rows)), chunk_rows)):
                block = np.ascontiguousarray(rows[start : min(start + chunk_rows, len(rows))])
                written(block)
                if len(block) < chunk_rows:  # the last chunk is filled with zeros
                    block = np.concatenate([block, np.zeros((chunk_rows - len(block), *block.shape[1:]), block.dtype)])
                content = _with_checksum(encoder.encode(block))
                write_all(file.fileno(), content)
                index[place] = offset, len(content)
                offset += len(content)
            write_all(file.fileno(), _with_checksum(index.tobytes()))


def _with_checksum(content: bytes) -> bytes:
    return content + int(google_crc32c.value(content)).to_bytes(CHECKSUM_BYTES, "little")
