"""Compare build_spatial_graphs, build_temporal_graphs and convert_graphs with the loops of the reference.

Run: `python -m benchmarks.graph_stages`. Videos have 20 frames of 9 nodes with 512 features, and 1,024 of motion. The
stages run in this process over a few and over many videos; a video costs the difference, so that what a stage does once
(its imports, its metadata) does not count. Times are those of the processor, because the stages use one thread and a
disk that others keep busy is not theirs. The bytes are those of the three stores.

The peer does what AKG-sv's scripts do for one video: a copy of the motion for each pair of nodes, a cosine for each
pair of nodes of consecutive frames, all of them put into one dense array `[N, N, M]`, and a loop over its pairs that
makes edges, whose features are stored as coordinates and values. It keeps everything in memory and writes nothing, and
its bytes are those of its arrays.

Shapes: N nodes of a video, K nodes of a frame, F frames, E edges, D node features, M motion features.
"""

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import memory
from benchmarks.measuring import Row, main, take_turns
from pipeline.config import SimilaritySettings
from pipeline.stages import build_spatial_graphs, build_temporal_graphs, convert_graphs

FEW, MANY = 20, 120
STORES = ("spatial", "temporal", "graphs")


def our_stages(folder: Path) -> Callable[[], None]:
    """A function that makes the three stores from the artifacts of a folder, anew each time."""
    number = 0

    def make() -> None:
        nonlocal number
        number += 1
        out = folder / f"made{number}"
        spatial, temporal, graphs = (out / f"{name}.zarr" for name in STORES)
        build_spatial_graphs.run(folder / "nodes.zarr", spatial)
        build_temporal_graphs.run(folder / "nodes.zarr", temporal, SimilaritySettings(top_k=None))
        convert_graphs.run(folder / "nodes.zarr", folder / "motion.zarr", spatial, temporal, graphs)

    return make


def plain_graph(nodes: Mapping[str, NDArray[Any]], motion_FM: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The graph of one video as the reference makes it.

    Args:
        nodes: `x` `[N, D]` and `node_frame` `[N]`, with equally many nodes in each frame.
        motion_FM: Motion of each frame.

    Returns:
        `spatial` `[F, K, K, M]`, `temporal` `[F - 1, K, K]`, `edge_index` `[2, E]`, and the features of the edges as
        `coordinates` `[2, E M]` and `values` `[E M]` of those that are not zero.
    """
    num_frames, num_features = motion_FM.shape
    x_FKD = np.asarray(nodes["x"], np.float64).reshape(num_frames, -1, nodes["x"].shape[1])
    size = x_FKD.shape[1]
    spatial = np.zeros((num_frames, size, size, num_features))
    temporal = np.zeros((num_frames - 1, size, size))
    for frame in range(num_frames):
        for k in range(size):
            for other in range(k, size):
                if x_FKD[frame, k].any() and x_FKD[frame, other].any():
                    spatial[frame, k, other] = spatial[frame, other, k] = motion_FM[frame]
    for frame in range(num_frames - 1):
        for k in range(size):
            for other in range(size):
                a, b = x_FKD[frame, k], x_FKD[frame + 1, other]
                if a.any() and b.any():
                    temporal[frame, k, other] = np.exp(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
            temporal[frame, k] /= temporal[frame, k].sum() or 1
    return {"spatial": spatial, "temporal": temporal, **plain_edges(spatial, temporal)}


def plain_edges(spatial: NDArray[Any], temporal: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The edges by one dense array `[N, N, M]` and a loop over its pairs."""
    num_frames, size, _, num_features = spatial.shape
    num_nodes = num_frames * size
    dense = np.zeros((num_nodes, num_nodes, num_features))
    for frame in range(num_frames):
        own = slice(frame * size, (frame + 1) * size)
        dense[own, own] = spatial[frame]
        if frame < num_frames - 1:
            dense[own, own.stop : own.stop + size, 0] = temporal[frame]
    pairs, features = [], []
    for row in range(num_nodes):
        for column in range(num_nodes):
            if dense[row, column].sum() > 0:
                pairs.append((row, column))
                features.append(dense[row, column].astype(np.float32))
    stacked = np.stack(features)
    coordinates = np.stack(np.nonzero(stacked))
    return {"edge_index": np.array(pairs).T, "coordinates": coordinates, "values": stacked[tuple(coordinates)]}


def num_bytes(store: Path) -> int:
    """Bytes of a store's files."""
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file())


def rows(rounds: int) -> list[Row]:
    """Measure the stages and the reference's loops in turn."""
    with tempfile.TemporaryDirectory(prefix="clipgraph-graphs-") as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        for path, num_videos in ((few, FEW), (many, MANY)):
            path.mkdir()
            memory.make(path, num_videos)
        video = memory.random_videos(1)[0]
        plain = partial(plain_graph, video["nodes"], video["motion"]["motion"])
        of_few, of_many, of_plain = take_turns([our_stages(few), our_stages(many), plain], rounds)
        sizes = [sum(num_bytes(path / "made1" / f"{name}.zarr") for name in STORES) for path in (few, many)]
        plain_bytes = sum(array.nbytes for array in plain().values())
    of_video = (of_many.cpu - of_few.cpu) / (MANY - FEW)
    bytes_of_video = (sizes[1] - sizes[0]) / (MANY - FEW)
    stage = "spatial, temporal, convert, full width, a video"
    return [
        Row(stage, f"{of_video:.2f} ms", f"the reference's loops: {of_plain.cpu:.0f} ms", of_video, 3, "ms", True),
        Row(
            stage,
            f"{bytes_of_video / 1e6:.2f} MB",
            f"the reference's arrays: {plain_bytes / 1e6:.0f} MB",
            bytes_of_video / 1e6,
            0.3,
            "MB",
            True,
        ),
    ]


if __name__ == "__main__":
    raise SystemExit(main("graph_stages", __doc__, rows))
