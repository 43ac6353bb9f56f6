"""Action graphs as PyTorch Geometric data, straight from artifacts.

The graph is the spatio-temporal one of "Action Knowledge for Video Captioning with Graph Neural Networks" (Hendria et
al., 2023, section 3). Its nodes are regions of sampled frames. Edges connect every node of a frame to every node of the
same frame, itself included; a node whose features are all zero has none. These edges carry the I3D feature of the
frame, or that of the box around their two nodes. Edges from a frame to the next carry a similarity. The edges are kept
factorised: one motion vector for a frame (or a pair of nodes) and one number for an edge, never a vector for an edge.

Shapes: N nodes, E edges, A edges within frames, F frames, P pairs of nodes, R rows of knowledge, O objects, D node
features, M motion features, K knowledge features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch, Data

WITHIN_FRAME = 0
TO_NEXT_FRAME = 1

Rows = Mapping[str, NDArray[Any]]


class ActionGraph(Data):  # type: ignore[misc]  # torch_geometric has no types
    """The graph of one video; a batch that `batch_graphs` makes of graphs has the same attributes and methods.

    Graphs and frames without nodes are legal. The attributes from `pair_motion` on exist only if the set of graphs was
    opened with them, and `edge_gate` only if it was set; `"knowledge" in graph` tests this.

    Attributes:
        x: Node features `[N, D]`.
        node_frame: Frame of each node, as a row number of `motion`, `[N]`.
        node_box: Boxes `[N, 4]` (left, top, right, bottom) as shares of the whole frame.
        edge_index: Source and target of each edge, `[2, E]`.
        edge_kind: 0 for an edge within a frame, 1 for an edge to the next frame, `[E]`.
        edge_frame: Frame of the target, as a row number of `motion`, `[E]`.
        edge_weight: Temporal weight of an edge to the next frame, 1 for an edge within a frame, `[E]`.
        edge_gate: What the messages of each edge are multiplied by, `[E]`; only where edges are explained.
        motion: Motion features, one row for each frame, `[F, M]`.
        pair_motion: Motion features of the boxes around pairs of nodes, `[P, M]`.
        edge_pair: Row of `pair_motion` for each edge within a frame, `[E]`. The entry of any other edge is meaningless:
            it is 0 or, in a batch, the first pair of the graph, if it has any.
        knowledge: Features of the entities and relations of the knowledge graph that the video is linked to, `[R, K]`;
            a video may have none.
        objects: Boxes, then features, of the objects in the video, `[O, 4 + D]`; a video may have none.
    """

    x: Tensor
    node_frame: Tensor
    node_box: Tensor
    edge_index: Tensor
    edge_kind: Tensor
    edge_frame: Tensor
    edge_weight: Tensor
    edge_gate: Tensor
    motion: Tensor
    pair_motion: Tensor
    edge_pair: Tensor
    knowledge: Tensor
    objects: Tensor

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Shift of an index attribute for the next graph of a batch: this graph's number of frames, pairs or nodes."""
        if key in {"node_frame", "edge_frame"}:
            return self.motion.size(0)
        if key == "edge_pair":
            return self.pair_motion.size(0)
        return super().__inc__(key, value, *args, **kwargs)

    def expand(self) -> Tensor:
        """Expand the factorised edges to the dense features that PyTorch Geometric's convolutions take.

        Returns:
            Edge features `[E, M]`. An edge within a frame has the motion of its pair or, without motion of pairs, that
            of the frame. An edge between frames has its weight in channel 0 and zeros in the others.
        """
        within = self.edge_kind == WITHIN_FRAME
        rows_AM = (
            self.pair_motion[self.edge_pair[within]] if "pair_motion" in self else self.motion[self.edge_frame[within]]
        )
        edge_attr_EM = self.motion.new_zeros(len(within), self.motion.size(1))
        edge_attr_EM[within] = rows_AM
        edge_attr_EM[~within, 0] = self.edge_weight[~within]
        return edge_attr_EM


def batch_graphs(graphs: Sequence[ActionGraph]) -> Batch:
    """Join several graphs into one.

    Args:
        graphs: The graphs, all with the same attributes.

    Returns:
        The batch. `batch [N]` gives the graph of each node; `motion_batch [F]`, `knowledge_batch [R]` and
        `objects_batch [O]` give that of each row of `motion`, `knowledge` and `objects`.
    """
    return Batch.from_data_list(list(graphs), follow_batch=["motion", "knowledge", "objects"])


def action_graph(
    rows: Rows, pairs: Rows | None = None, knowledge: NDArray[Any] | None = None, objects: NDArray[Any] | None = None
) -> ActionGraph:
    """Make the graph of one video from its rows of the artifacts.

    Args:
        rows: The video's rows of every array of a `graphs` artifact.
        pairs: Its rows `motion` `[P, M]` and `edge_pair` `[A]` of a `pair_motion` artifact, if edges carry the motion
            of pairs.
        knowledge: Its rows of knowledge `[R, K]`, if the captioner reads any.
        objects: Boxes and features of its objects `[O, 4 + D]`, if the captioner reads any.

    Returns:
        The graph, with features in float32 and indices in int64.
    """
    node_frame = _tensor(rows["node_frame"], np.int64)
    edge_index = torch.stack([_tensor(rows["source"], np.int64), _tensor(rows["target"], np.int64)])
    edge_kind = _tensor(rows["kind"], np.int64)
    further: dict[str, Tensor] = {}
    if pairs is not None:
        edge_pair = torch.zeros_like(edge_kind)
        edge_pair[edge_kind == WITHIN_FRAME] = _tensor(pairs["edge_pair"], np.int64)
        further |= {"pair_motion": _tensor(pairs["motion"], np.float32), "edge_pair": edge_pair}
    further |= {} if knowledge is None else {"knowledge": _tensor(knowledge, np.float32)}
    further |= {} if objects is None else {"objects": _tensor(objects, np.float32)}
    return ActionGraph(
        x=_tensor(rows["x"], np.float32),
        node_frame=node_frame,
        node_box=_tensor(rows["box"], np.float32),
        edge_index=edge_index,
        edge_kind=edge_kind,
        edge_frame=node_frame[edge_index[1]],
        edge_weight=_tensor(rows["weight"], np.float32),
        motion=_tensor(rows["motion"], np.float32),
        **further,
    )


def _tensor(array: NDArray[Any], dtype: type[np.generic]) -> Tensor:
    return torch.from_numpy(array.astype(dtype))
