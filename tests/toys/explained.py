"""A small explanation of two videos: the first has maps of 1 x 1 x 2 cells, the second nodes that are no grid."""

import shutil
from pathlib import Path

import numpy as np

from pipeline.artifact import create, write_json
from pipeline.schemas import RELEVANCE

SHARES = 11
CAPTIONS = {"grid": "a red ball", "nodes": "blue"}
# Left and right half of the frame at one time; of the nodes, the same a second later.
HALVES = np.array([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]])


def curve(last: float) -> np.ndarray:
    """From 0 to `last`, in equal steps."""
    return np.linspace(0, last, SHARES)


def rows_of(num_words: int, relevance: list[float], twin: list[float], shape: tuple[int, int, int]) -> dict:
    """Rows of a video of two regions."""
    return {
        "token": np.arange(num_words, dtype=np.int32) + 4,
        "log_p": np.zeros(num_words),
        "relevance": np.array(relevance),
        "twin": np.array(twin),
        "time": np.array([0.5, 0.5]) if sum(shape) else np.array([0.0, 1.0]),
        "box": HALVES,
        "shape": np.array([shape]),
        "source": np.zeros(0, np.int16),
        "target": np.zeros(0, np.int16),
        "edge_relevance": np.zeros(0),
        "deleted": np.stack([curve(-4.0)] * num_words),
        "inserted": np.stack([curve(-1.0)] * num_words),
        "deleted_at_random": np.stack([curve(-2.0)] * num_words),
        "randomised": np.linspace(1, 0, 5),
    }


def write_explanation(folder: Path, **changes: np.ndarray) -> tuple[Path, Path]:
    """Write the explanation, with other arrays for the first video, and its captions; returns their paths."""
    shutil.rmtree(folder / "relevance.zarr", ignore_errors=True)
    relevance = [0.0, 0.0, 1.0, 3.0, 0.0, 5.0]
    with create(
        folder / "relevance.zarr", RELEVANCE, ids=list(CAPTIONS), stage="explain_maps", settings={}, inputs={}
    ) as writer:
        writer.append("grid", **(rows_of(3, relevance, relevance[::-1], (1, 1, 2)) | changes))
        writer.append("nodes", **rows_of(1, [-1.0, 2.0], [1.0, 1.0], (0, 0, 0)))
    write_json(folder / "told.json", {"captions": CAPTIONS, "tokenizer": "bare"})
    return folder / "relevance.zarr", folder / "told.json"
