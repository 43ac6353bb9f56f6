"""Read videos out of all the shards of a data set, some arrays from memory and some from disk."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact.reading import Artifact
from pipeline.errors import ArtifactError


class AllShards:
    """Some arrays of all the shards of one kind of artifact, read by video.

    An array is read from disk, video by video, unless `hold` has loaded it into memory.

    Attributes:
        names: Names of the arrays.
        ids: Ids of the videos that the artifacts hold, in the order of the artifacts.
        failed: The reason for each video that was left out, by id.

    Raises:
        ArtifactError: if two artifacts hold the same video.
    """

    def __init__(self, artifacts: Sequence[Artifact], names: Sequence[str]) -> None:
        self.artifacts = list(artifacts)
        self.names = list(names)
        self.ids: list[str] = []
        self.failed: dict[str, str] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._held: dict[str, list[NDArray[Any]]] = {}
        for number, artifact in enumerate(artifacts):
            for row, video_id in enumerate(artifact.ids):
                if video_id in self._places:
                    other = artifacts[self._places[video_id][0]].store
                    raise ArtifactError(
                        f"{artifact.store}: video {video_id} is also in {other}, expected in one: give each shard once"
                    )
                self._places[video_id] = (number, row)
            self.ids += artifact.ids
            self.failed |= artifact.failed

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._places

    def num_bytes(self, name: str) -> int:
        """Bytes that an array of all shards takes in memory, in its stored type."""
        return sum(artifact.num_bytes(name) for artifact in self.artifacts)

    def width(self, name: str) -> int:
        """Columns of an array `[rows, columns]`: the most of any shard, because a shard without rows may have none."""
        return max((artifact.shape(name)[1] for artifact in self.artifacts), default=0)

    def hold(self, name: str) -> None:
        """Load an array of all shards into memory and keep it there."""
        self._held[name] = [artifact.array(name) for artifact in self.artifacts]

    def video(self, video_id: str, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """The rows of one video, by array, of some arrays or all. Those of an array in memory are a view of it."""
        number, row = self._places[video_id]
        artifact = self.artifacts[number]
        wanted = self.names if names is None else names
        rows = artifact.video(video_id, [name for name in wanted if name not in self._held])
        for name, arrays in self._held.items():
            if name not in wanted:
                continue
            dim = artifact.schema.arrays[name].dims[0]
            start, stop = (row, row + 1) if dim == "video" else artifact.ptr(dim)[row : row + 2]
            rows[name] = arrays[number][start:stop]
        return rows

    def num_rows(self, video_id: str, name: str) -> int:
        """Number of rows that one video has of an array that has some a video."""
        number, row = self._places[video_id]
        artifact = self.artifacts[number]
        start, stop = artifact.ptr(artifact.schema.arrays[name].dims[0])[row : row + 2]
        return int(stop - start)

    def part(self, video_id: str, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows `start` to `stop` (excluded) of those that one video has of an array; a view of one in memory."""
        if name in self._held:
            return self.video(video_id, [name])[name][start:stop]
        return self.artifacts[self._places[video_id][0]].part(video_id, name, start, stop)

    def expect(self, video_ids: Iterable[str]) -> None:
        """Raise ArtifactError if a video is neither in a shard nor left out by one: then a shard was not given."""
        for video_id in video_ids:
            if video_id not in self._places and video_id not in self.failed:
                given = ", ".join(str(artifact.store) for artifact in self.artifacts)
                raise ArtifactError(
                    f"{given}: video {video_id} is missing, expected every shard of the data set: give all"
                )


def hold_smallest(shards: Sequence[AllShards], limit: int) -> bool:
    """Load as many arrays into memory as fit, the smallest first: any other array is read from disk for each video.

    Args:
        shards: The shards whose arrays are loaded.
        limit: Bytes that the loaded arrays may take together.

    Returns:
        Whether all arrays are in memory.
    """
    sizes = sorted((of.num_bytes(name), place, name) for place, of in enumerate(shards) for name in of.names)
    ends = np.cumsum([num_bytes for num_bytes, _, _ in sizes])
    for end, (_, place, name) in zip(ends, sizes, strict=True):
        if end > limit:
            return False
        shards[place].hold(name)
    return True
