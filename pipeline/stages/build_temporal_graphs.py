"""Connect every node by edges to the nodes of the next frame, weighted by similarity.

This is the temporal graph of "Action Knowledge for Video Captioning with Graph Neural Networks" (Hendria et al., 2023,
section 3.2): edges lead from a frame to the next one only, and their weight is the softmax of the cosine. A node is
connected to all nodes of the next frame, as in the paper, or to the most similar ones alone.

Shapes: N nodes (of a frame, or of a video), M nodes of the next frame, F frames or pairs of them, K places for nodes in
a frame, E edges, D features.
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
    num_previous, num_current = len(previous_ND), len(current_MD)
    x_FKD = np.zeros((2, max(num_previous, num_current), previous_ND.shape[1]))
    x_FKD[0, :num_previous] = _with_safe_squares(previous_ND)
    x_FKD[1, :num_current] = _with_safe_squares(current_MD)
    return _weights(x_FKD, top_k)[0, :num_previous, :num_current]


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
    size_F = np.bincount(frame_N)
    num_frames, num_places = len(size_F), int(size_F.max(initial=0))
    order_N = np.argsort(frame_N, kind="stable")
    first_F = np.cumsum(size_F) - size_F
    place_N = np.arange(len(frame_N)) + np.repeat(np.arange(num_frames) * num_places - first_F, size_F)
    node_FK = np.zeros((num_frames, num_places), np.int64)
    node_FK.reshape(-1)[place_N] = order_N
    x_FKD = np.zeros((num_frames, num_places, x_ND.shape[1]))
    x_FKD.reshape(-1, x_ND.shape[1])[place_N] = _with_safe_squares(x_ND[order_N])
    weight_FKK = _weights(x_FKD, top_k)
    frame_E, row_E, column_E = np.nonzero(weight_FKK)
    return {
        "source": node_FK[frame_E, row_E],
        "target": node_FK[frame_E + 1, column_E],
        "weight": weight_FKK[frame_E, row_E, column_E],
    }


def _with_safe_squares(x_ND: NDArray[Any]) -> NDArray[Any]:
    """The features; doubles, whose squares could over- or underflow, are divided by the largest number of their row."""
    if x_ND.dtype.itemsize <= 4:
        return x_ND
    largest_N1 = np.abs(x_ND).max(axis=1, keepdims=True, initial=0)
    return x_ND / np.where(largest_N1 > 0, largest_N1, 1)


def _weights(x_FKD: NDArray[np.float64], top_k: int | None) -> NDArray[np.float64]:
    """The weights of `similarity` between each frame and the next, `[F - 1, K, K]`.

    All frames are computed at once, because NumPy takes longer to begin with a frame than to compute it. Frames with
    fewer than K nodes are filled with padding.

    Args:
        x_FKD: Features of the nodes.
        top_k: As for `similarity`.
    """
    score_FKK = x_FKD[:-1] @ x_FKD[1:].swapaxes(1, 2)
    length_FK = np.sqrt(np.einsum("fkd,fkd->fk", x_FKD, x_FKD))
    valid_FK = length_FK > 0
    length_FK[~valid_FK] = 1
    score_FKK /= length_FK[:-1, :, None]
    score_FKK /= length_FK[1:, None, :]
    np.exp(score_FKK, out=score_FKK)
    score_FKK *= valid_FK[:-1, :, None] & valid_FK[1:, None, :]
    if top_k is not None:
        # The matrix product may give equal nodes cosines that differ in the last bit, which must not choose among them.
        order_FKK = np.argsort(-score_FKK.round(12), axis=2, kind="stable")
        np.put_along_axis(score_FKK, order_FKK[..., top_k:], 0, axis=2)
    total_FK1 = score_FKK.sum(axis=2, keepdims=True)
    total_FK1[total_FK1 == 0] = 1
    score_FKK /= total_FK1
    return score_FKK
