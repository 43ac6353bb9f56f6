"""Rows of tiny action graphs whose numbers are written out in tests."""

from pathlib import Path

import numpy as np

from pipeline.artifact import create
from pipeline.schemas import GRAPHS


def rows_of(num_nodes: int = 3, num_frames: int = 2, scale: float = 1.0) -> dict[str, np.ndarray]:
    """Node 0 in frame 0, the others in frame 1; an edge within frame 0 and one from node 0 to node 1."""
    edges = min(num_nodes, 2)
    return {
        "x": np.full((num_nodes, 4), scale, np.float16),
        "node_frame": np.minimum(np.arange(num_nodes), 1).astype(np.int16),
        "box": np.zeros((num_nodes, 4), np.float16),
        "source": np.array([0, 0], np.int16)[:edges],
        "target": np.array([0, 1], np.int16)[:edges],
        "kind": np.array([0, 1], np.uint8)[:edges],
        "weight": np.array([1, 0.25], np.float16)[:edges],
        "motion": (scale * np.arange(1, 1 + 3 * num_frames).reshape(num_frames, 3)).astype(np.float16),
    }


def pairs_of(edge_pair: list[int], scale: float = 1.0) -> dict[str, np.ndarray]:
    """Two boxes of motion (10, 20, 30) and (40, 50, 60), times `scale`."""
    return {
        "motion": scale * np.arange(10.0, 70, 10).reshape(2, 3),
        "box": np.zeros((2, 4)),
        "pair_frame": np.zeros(2, int),
        "edge_pair": np.array(edge_pair, int),
    }


NO_PAIRS = {
    "motion": np.zeros((0, 3)),
    "box": np.zeros((0, 4)),
    "pair_frame": np.zeros(0, int),
    "edge_pair": np.zeros(0, int),
}


def write_graphs(path: Path, directions: dict[str, tuple[float, float] | None]) -> Path:
    """Write graphs of one node each, whose appearance is given by the video's id; None for a video that failed."""
    with create(path, GRAPHS, ids=list(directions), stage="convert_graphs", settings={}, inputs={}) as writer:
        for video_id, direction in directions.items():
            if direction is None:
                writer.fail(video_id, "no frame")
            else:
                writer.append(video_id, **rows_of(1, 1) | {"x": np.array([direction], np.float16)})
    return path
