"""Read single frames of clips out of the stores of all shards (schema `clips`), without their neighbours.

Of a clip only the chunks are read that hold the frames asked for, and only these frames are decoded.

Shapes: T frames, H height, W width, C colours (3, or 1 for grey).
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact.reading import Artifact, read
from pipeline.errors import ArtifactError
from pipeline.schemas import CLIPS
from pipeline.video.jpeg import JPEG, RAW, decode_jpeg


class ClipStore:
    """Every frame of the clips of a data set, for random access, from several threads or processes.

    A copy in another process, pickled or forked, opens the stores anew: it shares no lock with its parent.

    Args:
        paths: The stores of all shards, each its folder or `zarr.json`.

    Attributes:
        ids: Ids of the clips that there are, in the order of the stores.
        failed: The reason for each clip that was left out, by id.
        suspect: For each clip whose frames may be wrong, by id, what was seen.

    Raises:
        ArtifactError: if a store cannot be read, or two hold the same clip.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = [Path(path) for path in paths]
        self.ids: list[str] = []
        self.failed: dict[str, str] = {}
        self.suspect: dict[str, str] = {}
        self._shard_of: dict[str, int] = {}
        self._held: list[NDArray[Any]] = []  # the bytes of each shard, where they are held
        self._open()
        for number, shard in enumerate(self._shards):
            for clip_id in shard.ids:
                if clip_id in self._shard_of:
                    other = self._shards[self._shard_of[clip_id]].store
                    raise ArtifactError(f"{shard.store}: clip {clip_id} is also in {other}: give each shard once")
                self._shard_of[clip_id] = number
            self.ids += shard.ids
            self.failed |= shard.failed
            self.suspect |= shard.suspect

    def _open(self) -> None:
        self._process = os.getpid()
        self._shards = [read(path, CLIPS) for path in self.paths]

    def __reduce__(self) -> tuple[type["ClipStore"], tuple[list[Path]]]:
        return ClipStore, (self.paths,)

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._shard_of

    def num_bytes(self) -> int:
        """Bytes that the frames of all clips take together, encoded as they are."""
        return sum(shard.num_bytes("byte") for shard in self._shards)

    def hold(self, limit: int) -> bool:
        """Load the encoded frames of all clips into memory, if they take at most `limit` bytes; whether they do."""
        if self.num_bytes() > limit:
            return False
        self._held = [shard.array("byte") for shard in self._shards]
        return True

    def num_frames(self, clip_id: str) -> int:
        """Number of frames of a clip that are stored."""
        shard = self._shard(clip_id)
        row = shard.row(clip_id)
        start, stop = shard.ptr("frame")[row : row + 2]
        return int(stop - start)

    def size(self, clip_id: str) -> tuple[int, int]:
        """Height and width of a clip's frames, in pixels."""
        height, width = self._shard(clip_id).video(clip_id, ["size"])["size"][0].tolist()
        return height, width

    def times(self, clip_id: str) -> NDArray[np.float32]:
        """When each frame of a clip is shown, in seconds, `[num_frames]`."""
        return self._shard(clip_id).video(clip_id, ["time"])["time"]

    def read(self, clip_id: str, numbers: Sequence[int] | NDArray[Any]) -> NDArray[np.uint8]:
        """Decode frames of one clip.

        Args:
            clip_id: Id of the clip.
            numbers: T numbers of stored frames, from 0, in any order and with repetitions, T >= 1.

        Returns:
            Pixels, u1 `[T, H, W, C]`.

        Raises:
            ArtifactError: if the clip is in no store, or its frames are damaged.
            IndexError: if there are no numbers, or one that the clip does not have.
        """
        shard = self._shard(clip_id)
        clip = shard.video(clip_id, ["frame_end", "size", "colours", "codec"])
        ends, (height, width), colours = clip["frame_end"], clip["size"][0].tolist(), int(clip["colours"][0])
        wanted, place_T = np.unique(np.asarray(numbers, dtype=np.int64), return_inverse=True)
        if len(wanted) == 0 or not 0 <= wanted[0] <= wanted[-1] < len(ends):
            raise IndexError(f"frames {wanted.tolist()} of clip {clip_id}, which has {len(ends)}")
        starts = np.append(0, ends[:-1])
        frames = np.empty((len(wanted), height, width, colours), np.uint8)
        try:
            _require_bounds(ends, self._num_bytes(shard, clip_id))
            for row, number in enumerate(wanted):
                data = self._bytes(shard, clip_id, int(starts[number]), int(ends[number]))
                frames[row] = _decoded(data, int(clip["codec"][0]), (height, width, colours))
        except ValueError as error:
            raise ArtifactError(
                f"{shard.store}: the frames of clip {clip_id} are not what its stage writes ({error}): delete the "
                f"store and make it again (snakemake {shard.store}/zarr.json)"
            ) from error
        return frames if len(wanted) == len(place_T) and (np.diff(place_T) > 0).all() else frames[place_T]

    def _shard(self, clip_id: str) -> Artifact:
        if self._process != os.getpid():  # a fork: a thread of the parent may have held a lock
            self._open()
        if clip_id not in self._shard_of:
            why = self.failed.get(clip_id)
            told = f"was left out: {why}" if why is not None else "is missing, expected every shard: give all"
            raise ArtifactError(f"{', '.join(map(str, self.paths[:3]))}: clip {clip_id} {told}")
        return self._shards[self._shard_of[clip_id]]

    def _num_bytes(self, shard: Artifact, clip_id: str) -> int:
        row = shard.row(clip_id)
        start, stop = shard.ptr("byte")[row : row + 2]
        return int(stop - start)

    def _bytes(self, shard: Artifact, clip_id: str, start: int, stop: int) -> NDArray[np.uint8]:
        if not self._held:
            return shard.part(clip_id, "byte", start, stop)
        first = int(shard.ptr("byte")[shard.row(clip_id)])
        held: NDArray[np.uint8] = self._held[self._shard_of[clip_id]][first + start : first + stop]
        return held


def _require_bounds(ends: NDArray[np.int64], num_bytes: int) -> None:
    """Raise ValueError unless the ends of a clip's frames ascend and the last is the end of its bytes."""
    if ends[0] <= 0 or (np.diff(ends) <= 0).any() or ends[-1] != num_bytes:
        raise ValueError(f"the ends of its frames do not rise to its {num_bytes} bytes")


def _decoded(data: NDArray[np.uint8], codec: int, shape_HWC: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The pixels of one frame; ValueError if it is not of the shape or the codec that the store names."""
    if codec == JPEG:
        return decode_jpeg(data.data, shape_HWC)
    if codec != RAW:
        raise ValueError(f"codec {codec} is unknown")
    return data.reshape(shape_HWC)
