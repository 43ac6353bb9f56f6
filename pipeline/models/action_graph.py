"""Action graphs as PyTorch Geometric data, straight from `graphs` artifacts.

The spatio-temporal graph of "Action Knowledge for Video Captioning with Graph Neural Networks" (Hendria et al., 2023,
section 3): nodes are regions of sampled frames. Within a frame every node is tied to every node, itself included, and
all of these edges carry the frame's I3D feature; from a frame to the next an edge carries a similarity. The edges are
kept factorised: one motion vector a frame and one number an edge, never a vector an edge.

Legend: N nodes, E edges, F frames, D node features, M motion features.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from pipeline.artifact import Artifact, read
from pipeline.errors import PipelineError
from pipeline.schemas import GRAPHS

WITHIN_FRAME = 0
TO_NEXT_FRAME = 1
IN_MEMORY_BYTES = 4 * 2**30  # graphs that take more together are read from disk one by one


class ActionGraph(Data):  # type: ignore[misc]  # torch_geometric has no types
    """The graph of one video; a `Batch` of such graphs has the same fields and methods.

    Batch with `Batch.from_data_list(graphs, follow_batch=["motion"])`: `motion_batch [F]` then says whose frame is
    whose. Graphs and frames without nodes are legal.

    Attributes:
        x: Node features `[N, D]`.
        node_frame: Frame of each node, a row of `motion`, `[N]`.
        node_box: Boxes `[N, 4]` (left, top, right, bottom) as shares of the whole frame.
        edge_index: Source and target of each edge, `[2, E]`.
        edge_kind: 0 within a frame, 1 to the next frame, `[E]`.
        edge_frame: Frame of the target, a row of `motion`, `[E]`.
        edge_weight: Temporal weight; 1 within a frame, `[E]`.
        motion: Motion features, one row a frame, `[F, M]`.
    """

    x: Tensor
    node_frame: Tensor
    node_box: Tensor
    edge_index: Tensor
    edge_kind: Tensor
    edge_frame: Tensor
    edge_weight: Tensor
    motion: Tensor

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """What a batch adds to the numbers of the next graph: frames by this graph's frames, nodes by its nodes."""
        if key in {"node_frame", "edge_frame"}:
            return self.motion.size(0)
        return super().__inc__(key, value, *args, **kwargs)

    def expand(self) -> Tensor:
        """The dense edge features that PyTorch Geometric's convolutions take.

        Returns:
            `[E, M]`: the motion of the frame for an edge within a frame; for an edge between frames its weight in
            channel 0 and zeros in the others.
        """
        within = (self.edge_kind == WITHIN_FRAME).unsqueeze(1)
        edge_attr_EM = torch.where(within, self.motion[self.edge_frame], 0)
        edge_attr_EM[:, 0] = torch.where(within[:, 0], edge_attr_EM[:, 0], self.edge_weight)
        return edge_attr_EM


def action_graph(rows: dict[str, NDArray[Any]]) -> ActionGraph:
    """The graph of one video.

    Args:
        rows: The video's rows of every array of a `graphs` artifact.

    Returns:
        The graph: features in float32, indices in int64.
    """
    node_frame = _tensor(rows["node_frame"], np.int64)
    edge_index = torch.stack([_tensor(rows["source"], np.int64), _tensor(rows["target"], np.int64)])
    return ActionGraph(
        x=_tensor(rows["x"], np.float32),
        node_frame=node_frame,
        node_box=_tensor(rows["box"], np.float32),
        edge_index=edge_index,
        edge_kind=_tensor(rows["kind"], np.int64),
        edge_frame=node_frame[edge_index[1]],
        edge_weight=_tensor(rows["weight"], np.float32),
        motion=_tensor(rows["motion"], np.float32),
    )


def _tensor(array: NDArray[Any], dtype: type[np.generic]) -> Tensor:
    return torch.from_numpy(array.astype(dtype))


class GraphSet:
    """Graphs by video id.

    The flat arrays are held in memory in their stored types (half precision) if they are small enough together, and
    read video by video otherwise. Every access makes a new graph.

    Attributes:
        ids: The videos that have a graph, in the order of the artifacts.
        failed: The videos that were left out, with the reason.
    """

    def __init__(self, artifacts: Sequence[Artifact], in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self.ids: list[str] = []
        self.failed: dict[str, str] = {}
        self._artifacts = list(artifacts)
        self._places: dict[str, tuple[int, int]] = {}
        for number, artifact in enumerate(artifacts):
            for row, video_id in enumerate(artifact.ids):
                if video_id in self._places:
                    other = artifacts[self._places[video_id][0]].store
                    raise PipelineError(
                        f"{artifact.store}: video {video_id} is also in {other}, expected in one: give each shard once"
                    )
                self._places[video_id] = (number, row)
            self.ids += artifact.ids
            self.failed |= artifact.failed
        self._arrays: list[dict[str, NDArray[Any]]] | None = None
        if sum(map(_stored_bytes, artifacts)) <= in_memory_bytes:
            self._arrays = [{name: artifact.array(name) for name in GRAPHS.arrays} for artifact in artifacts]

    @property
    def in_memory(self) -> bool:
        """Whether the arrays are held in memory."""
        return self._arrays is not None

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._places

    def __getitem__(self, video_id: str) -> ActionGraph:
        number, row = self._places[video_id]
        artifact = self._artifacts[number]
        if self._arrays is None:
            return action_graph(artifact.video(video_id))
        rows = {}
        for name, spec in GRAPHS.arrays.items():
            bounds = artifact.ptr(spec.dims[0])
            rows[name] = self._arrays[number][name][bounds[row] : bounds[row + 1]]
        return action_graph(rows)


def _stored_bytes(artifact: Artifact) -> int:
    """Bytes that the arrays take in memory in their stored types."""
    if not artifact.ids:
        return 0
    total = 0
    for name, rows in artifact.video(artifact.ids[0]).items():
        row_bytes = rows.itemsize * int(np.prod(rows.shape[1:], dtype=np.int64))
        total += row_bytes * int(artifact.ptr(GRAPHS.arrays[name].dims[0])[-1])
    return total


def load_graphs(paths: Sequence[Path]) -> GraphSet:
    """Open `graphs` artifacts, the shards of one data set.

    Args:
        paths: The stores' folders or their `zarr.json`.

    Returns:
        Their graphs by video id.

    Raises:
        PipelineError: if a store cannot be read or a video stands in two of them.
    """
    return GraphSet([read(path, GRAPHS) for path in paths])
