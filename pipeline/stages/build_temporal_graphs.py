"""Connect every node by edges to the nodes of the next frame, weighted by similarity.

This is the temporal graph of "Action Knowledge for Video Captioning with Graph Neural Networks" (Hendria et al., 2023,
section 3.2): edges lead from a frame to the next one only, and their weight is the softmax of the cosine. A node is
connected to all nodes of the next frame, as in the paper, or to the most similar ones alone.

Shapes: N nodes (of a frame, or of a video), M nodes of the next frame, K nodes of either, E edges, D features.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import create, read
from pipeline.artifact.each_video import Rows, each_video
from pipeline.config import SimilaritySettings
from pipeline.schemas import NODES, TEMPORAL_GRAPHS


def run(nodes: Path, out: Path, settings: SimilaritySettings) -> None:
    """Make the weighted edges between consecutive frames for the videos of a shard.

    Args:
        nodes: The shard's `nodes` artifact.
        out: The `temporal_graphs` artifact to make.
        settings: To how many nodes of the next frame a node is connected.
    """
    found = read(nodes, NODES)
    ids = [*found.ids, *found.failed]
    with create(
        out, TEMPORAL_GRAPHS, ids=ids, stage="build_temporal_graphs", settings=settings, inputs={"nodes": nodes}
    ) as writer:

        def edges(video_id: str) -> Rows:
            rows = found.video(video_id, ["x", "node_frame"])
            return temporal_edges(rows["x"], rows["node_frame"], settings.top_k)

        each_video(writer, found.failed, edges)


def similarity(previous_ND: NDArray[Any], current_MD: NDArray[Any], top_k: int | None = None) -> NDArray[np.float64]:
    """Compute how similar the nodes of a frame are to those of the next one.

    Args:
        previous_ND: Features of the nodes of a frame, `[N, D]`.
        current_MD: Features of the nodes of the next frame, `[M, D]`.
        top_k: How many nodes of the next frame a node is connected to: the most similar ones, and of equally similar
            ones the first; None for all.

    Returns:
        Weights `[N, M]`: in each row the softmax of the cosine over the nodes that it is connected to, and 0 elsewhere.
        A node whose features are all zero counts as padding: its row or column is zero, and it has no part in the
        softmax. All other rows sum to 1, unless the next frame has nothing but padding.
    """
    previous_ND, current_MD = _unit(previous_ND), _unit(current_MD)
    score_NM = np.exp(previous_ND @ current_MD.T)
    score_NM *= np.logical_and.outer(previous_ND.any(axis=1), current_MD.any(axis=1))
    if top_k is not None:
        # The matrix product may give equal nodes cosines that differ in the last bit, which must not choose among them.
        order_NM = np.argsort(-score_NM.round(12), axis=1, kind="stable")
        np.put_along_axis(score_NM, order_NM[:, top_k:], 0, axis=1)
    return _divide(score_NM, score_NM.sum(axis=1, keepdims=True))


def _unit(x_ND: NDArray[Any]) -> NDArray[np.float64]:
    """Scale each row to length 1; rows of zeros stay zero."""
    x_ND = x_ND.astype(np.float64)
    # Dividing by the largest value first keeps the squares from over- and underflowing.
    x_ND = _divide(x_ND, np.abs(x_ND).max(axis=1, keepdims=True, initial=0))
    return _divide(x_ND, np.linalg.norm(x_ND, axis=1, keepdims=True))


def _divide(x_ND: NDArray[np.float64], by_N1: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(x_ND, by_N1, out=np.zeros_like(x_ND), where=by_N1 > 0)


def temporal_edges(x_ND: NDArray[Any], frame_N: NDArray[Any], top_k: int | None = None) -> Rows:
    """List the edges from each node to nodes of the next frame, with their weights.

    Args:
        x_ND: Node features `[N, D]`. A node whose features are all zero counts as padding and gets no edges.
        frame_N: Number of each node's frame, `[N]`.
        top_k: How many nodes of the next frame a node is connected to, the most similar ones; None for all.

    Returns:
        `source` and `target`, node numbers `[E]`, and `weight` `[E]`. The weights of one source sum to 1. Edges are
        sorted by frame, then by source, then by target.
    """
    source, target, weight = [np.zeros(0, int)], [np.zeros(0, int)], [np.zeros(0)]
    for frame in range(1, int(frame_N.max(initial=0)) + 1):
        previous_K, current_K = np.nonzero(frame_N == frame - 1)[0], np.nonzero(frame_N == frame)[0]
        weight_KK = similarity(x_ND[previous_K], x_ND[current_K], top_k)
        row_E, column_E = np.nonzero(weight_KK)
        source.append(previous_K[row_E])
        target.append(current_K[column_E])
        weight.append(weight_KK[row_E, column_E])
    return {"source": np.concatenate(source), "target": np.concatenate(target), "weight": np.concatenate(weight)}
