"""Action graphs as PyTorch Geometric data, straight from artifacts.

The spatio-temporal graph of "Action Knowledge for Video Captioning with Graph Neural Networks" (Hendria et al., 2023,
section 3): nodes are regions of sampled frames. Within a frame every node is tied to every node, itself included, and
all of these edges carry the frame's I3D feature, or each that of the box around its two nodes; from a frame to the next
an edge carries a similarity. The edges are kept factorised: one motion vector a frame (or a pair) and one number an
edge, never a vector an edge.

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
    """The graph of one video; a `batch_graphs` of such graphs has the same fields and methods.

    Graphs and frames without nodes are legal. The attributes from `pair_motion` on are there only if the set of graphs
    was opened with them; `"knowledge" in graph` tells.

    Attributes:
        x: Node features `[N, D]`.
        node_frame: Frame of each node, a row of `motion`, `[N]`.
        node_box: Boxes `[N, 4]` (left, top, right, bottom) as shares of the whole frame.
        edge_index: Source and target of each edge, `[2, E]`.
        edge_kind: 0 within a frame, 1 to the next frame, `[E]`.
        edge_frame: Frame of the target, a row of `motion`, `[E]`.
        edge_weight: Temporal weight; 1 within a frame, `[E]`.
        motion: Motion features, one row a frame, `[F, M]`.
        pair_motion: Motion features of the boxes around two nodes, `[P, M]`.
        edge_pair: Row of `pair_motion` of each edge within a frame, `[E]`. For other edges it says nothing: 0, and in
            a batch the first pair of the graph, if it has any.
        knowledge: What the video is told of the knowledge graph, `[R, K]`; a video may have no row.
        objects: Boxes, then features, of the objects in the video, `[O, 4 + D]`; a video may have none.
    """

    x: Tensor
    node_frame: Tensor
    node_box: Tensor
    edge_index: Tensor
    edge_kind: Tensor
    edge_frame: Tensor
    edge_weight: Tensor
    motion: Tensor
    pair_motion: Tensor
    edge_pair: Tensor
    knowledge: Tensor
    objects: Tensor

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """What a batch adds to the numbers of the next graph: frames by this graph's frames, nodes by its nodes."""
        if key in {"node_frame", "edge_frame"}:
            return self.motion.size(0)
        if key == "edge_pair":
            return self.pair_motion.size(0)
        return super().__inc__(key, value, *args, **kwargs)

    def expand(self) -> Tensor:
        """The dense edge features that PyTorch Geometric's convolutions take.

        Returns:
            `[E, M]`: for an edge within a frame the motion of its pair, or of the frame where there is no motion of
            pairs; for an edge between frames its weight in channel 0 and zeros in the others.
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
    """Several graphs as one.

    Args:
        graphs: All with the same attributes.

    Returns:
        The batch; `motion_batch [F]`, `knowledge_batch [R]` and `objects_batch [O]` say whose row is whose, as `batch
        [N]` does of the nodes.
    """
    return Batch.from_data_list(list(graphs), follow_batch=["motion", "knowledge", "objects"])


def action_graph(
    rows: Rows, pairs: Rows | None = None, knowledge: NDArray[Any] | None = None, objects: NDArray[Any] | None = None
) -> ActionGraph:
    """The graph of one video.

    Args:
        rows: The video's rows of every array of a `graphs` artifact.
        pairs: Its `motion` `[P, M]` and `edge_pair` `[A]` of a `pair_motion` artifact, if edges carry the motion of
            pairs.
        knowledge: Its rows of knowledge `[R, K]`, if the captioner reads any.
        objects: Boxes and features of its objects `[O, 4 + D]`, if the captioner reads any.

    Returns:
        The graph: features in float32, indices in int64.
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
