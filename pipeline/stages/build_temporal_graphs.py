"""Tie every node to the nodes of the next frame, by similarity.

The temporal graph of "Action Knowledge for Video Captioning with Graph Neural Networks" (Hendria et al., 2023,
section 3.2): from a frame to the next one only, weighted by the softmax of the cosine. All nodes of the next frame are
tied to, as there, or the most similar ones alone.
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
        settings: To how many nodes of the next frame a node is tied.
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
    """How similar the nodes of a frame are to those of the next one.

    Args:
        previous_ND: Features of the nodes of a frame, `[N, D]`.
        current_MD: Features of the nodes of the next frame, `[M, D]`.
        top_k: Current nodes that a previous one is tied to, the most similar, and of equally similar ones the first;
            None for all.

    Returns:
        `[N, M]`: in each row the softmax of the cosine over the current nodes that are tied to. A node whose features
        are all zero stands for nothing: its row or column is zero, and it has no part in the softmax. All other rows
        sum to 1, if there is a current node at all.
    """
    previous_ND, current_MD = _unit(previous_ND), _unit(current_MD)
    score_NM = np.exp(previous_ND @ current_MD.T)
    score_NM *= np.logical_and.outer(previous_ND.any(axis=1), current_MD.any(axis=1))
    if top_k is not None:
        # Equal nodes may differ in the last bit, by where the matrix product has them: that shall not choose.
        order_NM = np.argsort(-score_NM.round(12), axis=1, kind="stable")
        np.put_along_axis(score_NM, order_NM[:, top_k:], 0, axis=1)
    return _divide(score_NM, score_NM.sum(axis=1, keepdims=True))


def _unit(x_ND: NDArray[Any]) -> NDArray[np.float64]:
    """Rows of length 1; rows of zeros stay."""
    x_ND = x_ND.astype(np.float64)
    x_ND = _divide(x_ND, np.abs(x_ND).max(axis=1, keepdims=True, initial=0))  # so that no square over- or underflows
    return _divide(x_ND, np.linalg.norm(x_ND, axis=1, keepdims=True))


def _divide(x_ND: NDArray[np.float64], by_N1: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(x_ND, by_N1, out=np.zeros_like(x_ND), where=by_N1 > 0)


def temporal_edges(x_ND: NDArray[Any], frame_N: NDArray[Any], top_k: int | None = None) -> Rows:
    """Pairs of a node and a node of the next frame.

    Args:
        x_ND: Node features `[N, D]`. A node whose features are all zero gets no edges.
        frame_N: Frame of each node, `[N]`.
        top_k: Nodes of the next frame that a node is tied to, the most similar; None for all.

    Returns:
        `source` and `target`, node numbers `[E]`, and `weight` `[E]`, for which those of one source sum to 1; sorted
        by the frame, then by source, then by target.
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
