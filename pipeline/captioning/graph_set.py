"""Read the graphs of a data set by video, with what a captioner reads besides: motion of pairs, knowledge, objects."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import Artifact, read
from pipeline.artifact.all_shards import AllShards, hold_smallest
from pipeline.errors import PipelineError
from pipeline.models.action_graph import WITHIN_FRAME, ActionGraph, Rows, action_graph
from pipeline.schemas import GRAPHS, KNOWLEDGE, NODES, PAIR_MOTION

IN_MEMORY_BYTES = 640 * 2**20  # about 3,000 videos of full width; with all that it imports, training stays below 2 GB


class GraphSet:
    """The graphs of a data set by video id: `graphs[video_id]` makes an `ActionGraph` at every access.

    The flat arrays are held in memory in their stored types (half precision), the smallest first, as far as they fit
    together; the others are read video by video. An id without a graph raises KeyError.

    Args:
        graphs: Artifacts of `graphs`, one for each shard.
        pair_motion: Artifacts of `pair_motion`, if edges carry it.
        knowledge: Artifacts of `knowledge`, if the captioner reads it.
        objects: Artifacts of `nodes` that are objects, if the captioner reads them.
        in_memory_bytes: Number of bytes that the arrays held in memory may take together.

    Attributes:
        ids: The videos that have a graph (and motion of pairs, if asked for), in the order of the artifacts.
        failed: The videos that were left out, with the reason.
        in_memory: Whether all arrays are held in memory.
    """

    def __init__(
        self,
        graphs: Sequence[Artifact],
        pair_motion: Sequence[Artifact] = (),
        knowledge: Sequence[Artifact] = (),
        objects: Sequence[Artifact] = (),
        in_memory_bytes: int = IN_MEMORY_BYTES,
    ) -> None:
        self._graphs = AllShards(graphs, list(GRAPHS.arrays))
        self._pairs = AllShards(pair_motion, ["motion", "edge_pair"]) if pair_motion else None
        self._knowledge = AllShards(knowledge, ["x"]) if knowledge else None
        self._objects = AllShards(objects, ["box", "x"]) if objects else None
        self.failed = dict(self._graphs.failed)
        further = [of for of in (self._pairs, self._knowledge, self._objects) if of is not None]
        for of in further:
            of.expect(self._graphs.ids)
        if self._pairs is not None:
            lost = set(self._graphs.ids) & self._pairs.failed.keys()
            self.failed |= {video_id: self._pairs.failed[video_id] for video_id in sorted(lost)}
        self.ids = [video_id for video_id in self._graphs.ids if video_id not in self.failed]
        self.in_memory = hold_smallest([self._graphs, *further], in_memory_bytes)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._graphs and video_id not in self.failed

    def __getitem__(self, video_id: str) -> ActionGraph:
        if video_id not in self:
            raise KeyError(video_id)
        rows = self._graphs.video(video_id)
        return action_graph(
            rows, self._pairs_of(video_id, rows), self._knowledge_of(video_id), self._objects_of(video_id)
        )

    def _pairs_of(self, video_id: str, rows: Rows) -> Rows | None:
        if self._pairs is None:
            return None
        pairs = self._pairs.video(video_id)
        num_edges = int(np.count_nonzero(rows["kind"] == WITHIN_FRAME))
        if len(pairs["edge_pair"]) != num_edges:
            raise PipelineError(
                f"video {video_id}: pair_motion has {len(pairs['edge_pair'])} edges, its graph has {num_edges} within "
                "frames, expected equally many: run extract_union_motion again from the same spatial_graphs"
            )
        return pairs

    def _knowledge_of(self, video_id: str) -> NDArray[Any] | None:
        if self._knowledge is None:
            return None
        if video_id not in self._knowledge:
            return np.zeros((0, self._knowledge.width("x")))
        return self._knowledge.video(video_id)["x"]

    def _objects_of(self, video_id: str) -> NDArray[Any] | None:
        if self._objects is None:
            return None
        if video_id not in self._objects:
            return np.zeros((0, 4 + self._objects.width("x")))
        rows = self._objects.video(video_id)
        return np.concatenate([rows["box"], rows["x"]], axis=1)


def load_graphs(
    paths: Sequence[Path],
    pair_motion: Sequence[Path] = (),
    knowledge: Sequence[Path] = (),
    objects: Sequence[Path] = (),
) -> GraphSet:
    """Open the graphs of a data set, and the other stores that its captioner reads.

    Args:
        paths: Stores (their folders or `zarr.json`) of `graphs`, one for each shard.
        pair_motion: Stores of `pair_motion`, if edges carry it; a video that failed there has no graph.
        knowledge: Stores of `knowledge`, if the captioner reads it; a video that failed there has no rows of it.
        objects: Stores of `nodes` that are objects, if the captioner reads them; a video that failed there has none.

    Returns:
        The graphs by video id.

    Raises:
        PipelineError: A store cannot be read, a video is in two stores of a kind, or a shard is missing.
    """
    return GraphSet(
        [read(path, GRAPHS) for path in paths],
        [read(path, PAIR_MOTION) for path in pair_motion],
        [read(path, KNOWLEDGE) for path in knowledge],
        [read(path, NODES) for path in objects],
    )


class GraphList(Sequence[Any]):
    """The graphs of some videos as a sequence; each is read when it is asked for.

    Args:
        graphs: Graphs by video id.
        ids: The videos, in order.
    """

    def __init__(self, graphs: Any, ids: Sequence[str]) -> None:
        self.graphs = graphs
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: Any) -> Any:
        return self.graphs[self.ids[number]]
