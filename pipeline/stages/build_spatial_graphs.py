"""Connect every node by an edge with every node of its frame.

This is the spatial action graph of "Action Knowledge for Video Captioning with Graph Neural Networks" (Hendria et al.,
2023, section 3.2): it is fully connected within a frame, and each node has an edge with itself. The motion of an edge
is not stored here: that of whole frames is in `motion`, that of pairs of nodes in `pair_motion`.

Shapes: N nodes of a video, V nodes with features, F frames, E edges, D features.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import create, read
from pipeline.artifact.each_video import Rows, each_video
from pipeline.schemas import NODES, SPATIAL_GRAPHS


def run(nodes: Path, out: Path) -> None:
    """Make the edges within frames for the videos of a shard.

    Args:
        nodes: The shard's `nodes` artifact.
        out: The `spatial_graphs` artifact to make.
    """
    found = read(nodes, NODES)
    ids = [*found.ids, *found.failed]
    with create(
        out, SPATIAL_GRAPHS, ids=ids, stage="build_spatial_graphs", settings={}, inputs={"nodes": nodes}
    ) as writer:

        def edges(video_id: str) -> Rows:
            rows = found.video(video_id, ["x", "node_frame"])
            return spatial_edges(rows["x"], rows["node_frame"])

        each_video(writer, found.failed, edges)


def spatial_edges(x_ND: NDArray[Any], frame_N: NDArray[Any]) -> Rows:
    """List all pairs of nodes of the same frame, in both directions, and each node with itself.

    Args:
        x_ND: Node features `[N, D]`. A node whose features are all zero counts as padding and gets no edges.
        frame_N: Number of each node's frame, `[N]`.

    Returns:
        `source` and `target`, node numbers `[E]`, sorted by source, then by target. A frame of n nodes has n^2 edges.
    """
    node_V = np.nonzero(_has_features(x_ND))[0]
    frame_V = frame_N[node_V]
    by_frame_V = node_V[np.argsort(frame_V, kind="stable")]
    size_F = np.bincount(frame_V)
    # The targets of a source are the nodes of its frame, which stand together, in ascending order, in `by_frame_V`.
    size_V = size_F[frame_V]
    first_V = (np.cumsum(size_F) - size_F)[frame_V]
    edge_V = np.cumsum(size_V) - size_V  # number of each source's first edge
    place_E = np.arange(size_V.sum()) + np.repeat(first_V - edge_V, size_V)
    return {"source": np.repeat(node_V, size_V), "target": by_frame_V[place_E]}


def _has_features(x_ND: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether any feature of each node is not zero, `[N]`; nearly always one of the first few tells."""
    has_N: NDArray[np.bool_] = (x_ND[:, :16] != 0).any(axis=1)
    has_N[~has_N] = (x_ND[~has_N] != 0).any(axis=1)
    return has_N
