"""Read the maps of a data set by video."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from pipeline.artifact import Artifact, read
from pipeline.artifact.all_shards import AllShards, hold_smallest
from pipeline.captioning.graph_set import IN_MEMORY_BYTES
from pipeline.errors import PipelineError
from pipeline.schemas import MAPS


class MapSet:
    """The maps of a data set by video id: `maps[video_id]` reads `[T, H, W, C]` in half precision.

    Maps are held in memory as far as they fit; the others are read video by video. An id without maps raises KeyError.

    Args:
        artifacts: Artifacts of `maps`, one for each shard.
        in_memory_bytes: Number of bytes that maps held in memory may take together.

    Attributes:
        ids: The videos that have maps, in the order of the artifacts.
        failed: The videos that were left out, with the reason.
        shape: Steps, rows, columns and channels of the maps of every video.
    """

    def __init__(self, artifacts: Sequence[Artifact], in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self._maps = AllShards(artifacts, ["map"])
        self.ids, self.failed = self._maps.ids, self._maps.failed
        self.shape: tuple[int, ...] = tuple(self._maps.video(self.ids[0])["map"].shape) if self.ids else (0, 0, 0, 0)
        hold_smallest([self._maps], in_memory_bytes)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._maps

    def __getitem__(self, video_id: str) -> Tensor:
        if video_id not in self:
            raise KeyError(video_id)
        found = self._maps.video(video_id)["map"]
        if found.shape != self.shape:
            sizes = " and ".join(" x ".join(map(str, shape)) for shape in (found.shape, self.shape))
            raise PipelineError(
                f"video {video_id}: its maps differ in size from others ({sizes}), expected equal ones: run "
                "extract_maps again for all shards"
            )
        return torch.from_numpy(found.copy())


def load_maps(paths: Sequence[Path]) -> MapSet:
    """Open the maps of a data set.

    Args:
        paths: Stores (their folders or `zarr.json`) of `maps`, one for each shard.

    Raises:
        PipelineError: A store cannot be read, or a video is in two stores.
    """
    return MapSet([read(path, MAPS) for path in paths])
