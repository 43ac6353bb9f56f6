from pathlib import Path

import numpy as np
from numpy.testing import assert_array_equal

from pipeline.artifact import create, read
from pipeline.schemas import NODES, SPATIAL_GRAPHS
from pipeline.stages.build_spatial_graphs import run, spatial_edges


def test_edges_of_two_frames_written_out():
    edges = spatial_edges(np.ones((3, 2)), np.array([0, 0, 1]))
    assert list(zip(edges["source"], edges["target"], strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)]


def test_nodes_of_a_frame_need_not_stand_together():
    edges = spatial_edges(np.ones((3, 2)), np.array([1, 0, 1]))
    assert list(zip(edges["source"], edges["target"], strict=True)) == [(0, 0), (0, 2), (1, 1), (2, 0), (2, 2)]


def test_a_frame_of_n_nodes_has_n_squared_edges():
    sizes = [0, 1, 9, 13]
    node_frame = np.repeat(np.arange(4), sizes)
    edges = spatial_edges(np.ones((23, 4)), node_frame)
    assert_array_equal(np.bincount(node_frame[edges["target"]], minlength=4), [0, 1, 81, 169])


def test_all_zero_nodes_get_no_edges_and_nodes_that_sum_to_zero_do():
    x = np.array([[1, -1, 0], [0, 0, 0], [2, 0, 0]], np.float16)
    edges = spatial_edges(x, np.zeros(3, np.int16))
    assert list(zip(edges["source"], edges["target"], strict=True)) == [(0, 0), (0, 2), (2, 0), (2, 2)]


def test_no_nodes_no_edges():
    edges = spatial_edges(np.zeros((0, 4)), np.zeros(0, np.int16))
    assert len(edges["source"]) == len(edges["target"]) == 0


def test_run_carries_failed_videos_on(tmp_path: Path):
    nodes, out = tmp_path / "nodes.zarr", tmp_path / "spatial.zarr"
    arrays = {
        "x": np.ones((2, 3)),
        "node_frame": np.array([0, 1]),
        "box": np.zeros((2, 4)),
        "label": np.zeros(2, int),
        "score": np.ones(2),
        "frame_time": np.zeros(2),
    }
    with create(nodes, NODES, ids=["bad", "a-b"], stage="build_grid_nodes", settings={}, inputs={}) as writer:
        writer.fail("bad", "no frame could be read")
        writer.append("a-b", **arrays)
    run(nodes, out)
    made = read(out / "zarr.json", SPATIAL_GRAPHS)
    assert made.ids == ["a-b"]
    assert made.failed == {"bad": "no frame could be read"}
    assert_array_equal(made.video("a-b")["target"], [0, 1])
