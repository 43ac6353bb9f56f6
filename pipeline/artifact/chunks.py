"""Create the Zarr arrays of a store, and read rows straight from the files that hold their chunks.

Zarr itself reads a shard with an event loop and a pool of threads. Where a few rows are wanted at a time, as in
training, that takes longer than decoding them. The layout is that of the Zarr v3 specification (sharding codec, version
1.0): a file holds the chunks of a shard in any order, and at its end an index with two little-endian uint64 for each
chunk (offset, bytes) and a CRC32C. Chunks are little-endian, compressed by Zstandard and followed by a CRC32C.
"""

from pathlib import Path
from typing import Any, Protocol

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

CHECKSUM_BYTES = 4
INDEX_ENTRY_BYTES = 16


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
        self._last: tuple[int, NDArray[Any]] | None = None

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
                rows[low - start : high - start] = self._chunk(number)[low - first : high - first]
        return rows

    def _chunk(self, number: int) -> NDArray[Any]:
        if self._last is None or self._last[0] != number:
            self._last = (number, self._decode(number))
        return self._last[1]

    def _decode(self, number: int) -> NDArray[Any]:
        shard, place = divmod(number, self.shard_chunks)
        path = self.folder.joinpath("c", str(shard), *["0"] * len(self.tail))
        with path.open("rb", buffering=0) as file:
            end = file.seek(0, 2)
            if shard not in self._indices:
                size = self.shard_chunks * INDEX_ENTRY_BYTES + CHECKSUM_BYTES
                file.seek(-size, 2)
                index = np.frombuffer(_checked(file.read(size), path), "<u8")
                self._indices[shard] = index.reshape(self.shard_chunks, 2)
            offset, num_bytes = (int(number) for number in self._indices[shard][place])
            if offset + num_bytes > end:
                raise ValueError(f"chunk {place} of {path.name} ends after the file")
            file.seek(offset)
            # into a chunk of the known size: a lying header could ask for any amount of memory
            content = np.empty((self.chunk_rows, *self.tail), self.dtype)
            Zstd().decode(_checked(file.read(num_bytes), path), content)
        return content


def _checked(content: bytes, path: Path) -> bytes:
    """The content without the checksum at its end; ValueError if that is wrong."""
    body, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    if google_crc32c.value(body) != int.from_bytes(checksum, "little"):
        raise ValueError(f"wrong checksum in {path.name} of {path.parent}")
    return body


CHUNK_BYTES = 2**18  # about a video's rows: training reads videos at random, and a chunk is decoded whole


SHARD_CHUNKS = 256  # 64 MB a file


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


def _create_array(root: zarr.Group, name: str, array: Rows, dims: tuple[str, ...]) -> "zarr.Array[Any]":
    rows = _chunk_rows(array)
    tail = tuple(max(1, size) for size in array.shape[1:])
    num_chunks = max(1, min(SHARD_CHUNKS, -(-len(array) // rows)))
    return root.create_array(
        name,
        shape=array.shape,
        dtype=array.dtype,
        chunks=(rows, *tail),
        shards=(rows * num_chunks, *tail),  # a multiple of the chunk, as the codec demands
        compressors=[ZstdCodec(level=3), Crc32cCodec()],  # without crc32c a flipped bit goes unnoticed
        config={"write_empty_chunks": True},  # a chunk that is missing is then damage, not zeros
        dimension_names=dims,
    )


def _chunk_rows(array: Rows) -> int:
    row_bytes = max(1, array.nbytes // max(1, len(array)))
    return max(1, min(len(array), CHUNK_BYTES // row_bytes))
