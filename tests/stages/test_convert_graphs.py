from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pipeline.artifact import create, read
from pipeline.config import SimilaritySettings
from pipeline.errors import VideoError
from pipeline.schemas import GRAPHS, MOTION, NODES, Schema
from pipeline.stages import build_spatial_graphs, build_temporal_graphs, convert_graphs
from pipeline.stages.build_spatial_graphs import spatial_edges
from pipeline.stages.build_temporal_graphs import temporal_edges
from pipeline.stages.convert_graphs import join

Video = dict[str, np.ndarray]


def make_nodes(num_frames: int, cells: int = 9, width: int = 8, seed: int = 0) -> Video:
    x = np.random.default_rng(seed).normal(size=(num_frames * cells, width)).astype(np.float16)
    return {
        "x": x,
        "node_frame": np.repeat(np.arange(num_frames), cells),
        "box": np.random.default_rng(seed + 1).random((len(x), 4)),
        "label": np.zeros(len(x), int),
        "score": np.ones(len(x)),
        "frame_time": np.arange(num_frames, dtype=np.float32),
    }


def make_motion(num_frames: int, width: int = 5, seed: int = 0) -> Video:
    motion = np.abs(np.random.default_rng(seed + 2).normal(size=(num_frames, width)))
    return {"motion": motion.astype(np.float16), "window_start": np.arange(num_frames)}


def write(path: Path, schema: Schema, videos: dict[str, Video | str]) -> Path:
    with create(path, schema, ids=list(videos), stage="convert_graphs", settings={}, inputs={}) as writer:
        for video_id, rows in videos.items():
            if isinstance(rows, str):
                writer.fail(video_id, rows)
            else:
                writer.append(video_id, **rows)
    return path


def convert(folder: Path, nodes: dict[str, Video | str], motion: dict[str, Video | str]) -> dict[str, Path]:
    """Run the three stages; the paths of all the artifacts."""
    paths = {
        "nodes": write(folder / "nodes.zarr", NODES, nodes),
        "motion": write(folder / "motion.zarr", MOTION, motion),
        "spatial": folder / "spatial.zarr",
        "temporal": folder / "temporal.zarr",
    }
    build_spatial_graphs.run(paths["nodes"], paths["spatial"])
    build_temporal_graphs.run(paths["nodes"], paths["temporal"], SimilaritySettings(top_k=None))
    convert_graphs.run(**paths, out=folder / "graphs.zarr")
    return {**paths, "graphs": folder / "graphs.zarr"}


def test_a_tiny_graph_written_out(tmp_path: Path):
    nodes = {
        "x": np.array([[1, 0], [3, 0], [0, 0]], np.float16),  # the last one is no node
        "node_frame": np.array([0, 1, 1]),
        "box": np.arange(12).reshape(3, 4) / 16,
        "label": np.zeros(3, int),
        "score": np.ones(3),
        "frame_time": np.array([0, 0.5]),
    }
    paths = convert(tmp_path, {"v": nodes}, {"v": make_motion(2)})
    graph = read(paths["graphs"], GRAPHS).video("v")
    edges = list(zip(*(graph[name].tolist() for name in ("source", "target", "kind", "weight")), strict=True))
    assert edges == [(0, 0, 0, 1.0), (1, 1, 0, 1.0), (0, 1, 1, 1.0)]
    for name in ("x", "node_frame", "box"):
        assert_array_equal(graph[name], nodes[name])
    assert_array_equal(graph["motion"], make_motion(2)["motion"])


def test_full_grid_video_has_3159_edges(tmp_path: Path):
    paths = convert(tmp_path, {"v": make_nodes(20)}, {"v": make_motion(20)})
    graph = read(paths["graphs"], GRAPHS).video("v")
    assert len(graph["source"]) == 3159
    assert np.count_nonzero(graph["kind"]) == 81 * 19
    assert_array_equal(
        graph["node_frame"][graph["target"]].astype(int) - graph["node_frame"][graph["source"]], graph["kind"]
    )


def test_a_video_missing_in_one_input_is_recorded_with_its_reason(tmp_path: Path):
    nodes = {"a": make_nodes(2), "b": "cannot be opened", "c": make_nodes(2), "d": make_nodes(2)}
    motion = {"a": make_motion(2), "b": "cannot be opened", "c": "decoder gave up"}
    made = read(convert(tmp_path, nodes, motion)["graphs"], GRAPHS)
    assert made.ids == ["a"]
    assert made.failed == {"b": "cannot be opened", "c": "decoder gave up", "d": "not in motion"}


def test_different_numbers_of_frames_are_recorded_not_cut(tmp_path: Path):
    nodes = {"short": make_nodes(3), "good": make_nodes(2)}
    made = read(convert(tmp_path, nodes, {"short": make_motion(2), "good": make_motion(2)})["graphs"], GRAPHS)
    assert made.ids == ["good"]
    assert "nodes have 3 frames, motion has 2" in made.failed["short"]


def test_a_frame_without_nodes_keeps_its_motion(tmp_path: Path):
    nodes = make_nodes(3)
    keep = nodes["node_frame"] != 1
    nodes |= {name: nodes[name][keep] for name in ("x", "node_frame", "box", "label", "score")}
    graph = read(convert(tmp_path, {"v": nodes}, {"v": make_motion(3)})["graphs"], GRAPHS).video("v")
    assert len(graph["source"]) == 2 * 81
    assert not graph["kind"].any()
    assert len(graph["motion"]) == 3


@pytest.mark.parametrize("cut", [1, 2])
def test_edges_of_other_nodes_are_refused(cut: int):
    """`cut` 1: an edge leads to a node that is not there. 2: edges that leave their frame."""
    nodes = make_nodes(2, cells=2)
    spatial = spatial_edges(nodes["x"], nodes["node_frame"])
    temporal = temporal_edges(nodes["x"], nodes["node_frame"])
    if cut == 1:
        nodes |= {name: nodes[name][:-1] for name in ("x", "node_frame", "box")}
    else:
        nodes["node_frame"] = np.array([0, 1, 1, 1])
    with pytest.raises(VideoError, match="run build_spatial_graphs again"):
        join(nodes, make_motion(2), spatial, temporal)


def random_halves(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """Finite half-precision numbers with random bits: no codec makes them smaller."""
    bits = generator.integers(0, 2**16, shape, dtype=np.uint16)
    return np.where(bits & 0x7C00 == 0x7C00, bits & 0x83FF, bits).view(np.float16)


def test_size_on_disk_at_full_width(tmp_path: Path):
    generator = np.random.default_rng(0)
    nodes: dict[str, Video | str] = {}
    motion: dict[str, Video | str] = {}
    for number in range(50):
        nodes[f"v{number}"] = make_nodes(20) | {"x": random_halves(generator, 180, 512)}
        motion[f"v{number}"] = make_motion(20) | {"motion": random_halves(generator, 20, 1024)}
    paths = convert(tmp_path, nodes, motion)
    size = {name: sum(file.stat().st_size for file in path.rglob("*")) / 50 for name, path in paths.items()}
    assert read(paths["graphs"], GRAPHS).ids == list(nodes)
    assert size["graphs"] <= 0.25e6, size
    assert sum(size.values()) <= 0.5e6, size
