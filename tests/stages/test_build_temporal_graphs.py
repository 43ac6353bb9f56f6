from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pipeline.artifact import create, read
from pipeline.config import SimilaritySettings
from pipeline.schemas import NODES, TEMPORAL_GRAPHS
from pipeline.stages.build_spatial_graphs import spatial_edges
from pipeline.stages.build_temporal_graphs import run, similarity, temporal_edges

E = np.e


def test_softmax_of_the_cosine_written_out():
    previous = np.array([[2.0, 0.0]])
    current = np.array([[5.0, 0.0], [0.0, 0.1], [-3.0, 0.0]])  # cosines 1, 0, -1
    total = E + 1 + 1 / E
    assert_allclose(similarity(previous, current), [[E / total, 1 / total, 1 / E / total]], rtol=1e-12)


def test_rows_sum_to_1_and_lengths_do_not_matter():
    generator = np.random.default_rng(1)
    previous, current = generator.normal(size=(9, 16)), generator.normal(size=(13, 16))
    weight = similarity(previous, current)
    assert weight.shape == (9, 13)
    assert_allclose(weight.sum(axis=1), 1, rtol=1e-12)
    assert_allclose(similarity(previous * 1e-200, current * 1e200), weight, rtol=1e-9)


def test_all_zero_nodes_have_zero_rows_and_columns():
    previous = np.array([[1.0, 0.0], [0.0, 0.0]])
    current = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert_allclose(similarity(previous, current), [[0, E / (E + 1), 1 / (E + 1)], [0, 0, 0]], rtol=1e-12)


def test_a_node_that_sums_to_zero_is_a_node():
    assert_allclose(similarity(np.array([[1, -1]]), np.array([[2, -2], [0, 0]], np.float16)), [[1, 0]])


def test_nothing_to_be_similar_to():
    assert_array_equal(similarity(np.ones((2, 3)), np.zeros((1, 3))), [[0], [0]])
    assert similarity(np.ones((2, 3)), np.zeros((0, 3))).shape == (2, 0)
    assert similarity(np.zeros((0, 3)), np.ones((2, 3))).shape == (0, 2)


def test_the_most_similar_nodes_alone_are_tied_to():
    previous = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    current = np.array([[-3.0, 0.0], [5.0, 0.0], [0.0, 0.0], [0.0, 0.1]])  # cosines -1, 1, none, 0 and 0, 0, none, 1
    assert_allclose(similarity(previous, current, top_k=1), [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    two = [[0, E / (E + 1), 0, 1 / (E + 1)], [1 / (E + 1), 0, 0, E / (E + 1)], [0, 0, 0, 0]]
    assert_allclose(similarity(previous, current, top_k=2), two, rtol=1e-12)
    for enough in (3, 4, 9, None):
        assert_array_equal(similarity(previous, current, top_k=enough), similarity(previous, current))


def test_of_equally_similar_nodes_the_first_are_tied_to():
    generator = np.random.default_rng(0)
    x_1D = generator.normal(size=(1, 37))
    current = np.repeat(x_1D, 9, axis=0) * generator.uniform(0.1, 10, (9, 1))  # one direction: equal but for rounding
    assert_array_equal(np.nonzero(similarity(x_1D, current, top_k=3))[1], [0, 1, 2])


def test_kept_rows_sum_to_1():
    generator = np.random.default_rng(1)
    weight = similarity(generator.normal(size=(9, 16)), generator.normal(size=(13, 16)), top_k=4)
    assert_array_equal(np.count_nonzero(weight, axis=1), [4] * 9)
    assert_allclose(weight.sum(axis=1), 1, rtol=1e-12)
    whole = similarity(generator.normal(size=(2, 3)), np.zeros((0, 3)), top_k=4)
    assert whole.shape == (2, 0)


def test_edges_go_to_the_next_frame_only():
    x = np.ones((4, 2))
    edges = temporal_edges(x, np.array([0, 1, 1, 2]))
    assert list(zip(edges["source"], edges["target"], strict=True)) == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert_allclose(edges["weight"], [0.5, 0.5, 1, 1])


def test_a_frame_without_nodes_is_not_jumped_over():
    assert len(temporal_edges(np.ones((2, 2)), np.array([0, 2]))["source"]) == 0


def test_no_edge_touches_an_all_zero_node():
    x = np.ones((5, 2))
    x[1] = x[3] = 0
    edges = temporal_edges(x, np.array([0, 0, 1, 1, 1]))
    assert list(zip(edges["source"], edges["target"], strict=True)) == [(0, 2), (0, 4)]
    assert_allclose(edges["weight"], [0.5, 0.5])


@pytest.mark.parametrize("num_frames", [1, 2, 10, 20])
def test_number_of_edges_of_a_grid(num_frames: int):
    x = np.random.default_rng(num_frames).normal(size=(9 * num_frames, 8))
    node_frame = np.repeat(np.arange(num_frames), 9)
    num_edges = len(spatial_edges(x, node_frame)["source"]) + len(temporal_edges(x, node_frame)["source"])
    assert num_edges == 162 * num_frames - 81


def test_run_stores_weights_that_sum_to_1_and_carries_failed_videos_on(tmp_path: Path):
    nodes, out = tmp_path / "nodes.zarr", tmp_path / "temporal.zarr"
    arrays = {
        "x": np.random.default_rng(0).normal(size=(27, 8)),
        "node_frame": np.repeat(np.arange(3), 9),
        "box": np.zeros((27, 4)),
        "label": np.zeros(27, int),
        "score": np.ones(27),
        "frame_time": np.zeros(3),
    }
    empty = {name: array[:0] for name, array in arrays.items()}
    with create(nodes, NODES, ids=["v", "bad", "empty"], stage="build_grid_nodes", settings={}, inputs={}) as writer:
        writer.append("v", **arrays)
        writer.fail("bad", "audio only")
        writer.append("empty", **empty)
    run(nodes, out, SimilaritySettings(top_k=None))
    made = read(out, TEMPORAL_GRAPHS)
    assert made.ids == ["v", "empty"]
    assert made.failed == {"bad": "audio only"}
    rows = made.video("v")
    sums = np.bincount(rows["source"], rows["weight"].astype(np.float64), minlength=27)
    assert_allclose(sums, [1] * 18 + [0] * 9, atol=9 * 2**-12)  # nine half-precision roundings of about 1/9
    assert len(made.video("empty")["source"]) == 0
    run(nodes, tmp_path / "top.zarr", SimilaritySettings(top_k=2))
    rows = read(tmp_path / "top.zarr", TEMPORAL_GRAPHS).video("v")
    assert_array_equal(np.bincount(rows["source"], minlength=27), [2] * 18 + [0] * 9)
    sums = np.bincount(rows["source"], rows["weight"].astype(np.float64), minlength=27)
    assert_allclose(sums, [1] * 18 + [0] * 9, atol=2 * 2**-11)
