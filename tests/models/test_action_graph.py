import numpy as np
import pytest
import torch
from torch.testing import assert_close
from toys.graph_rows import NO_PAIRS, pairs_of, rows_of

from pipeline.models.action_graph import ActionGraph, action_graph, batch_graphs


def test_fields_and_types():
    graph = action_graph(rows_of())
    assert graph.edge_index.tolist() == [[0, 0], [0, 1]]
    assert graph.edge_frame.tolist() == [0, 1]  # of the target
    assert {graph[name].dtype for name in ("x", "node_box", "edge_weight", "motion")} == {torch.float32}
    assert {graph[name].dtype for name in ("node_frame", "edge_index", "edge_kind", "edge_frame")} == {torch.int64}
    assert (graph.num_nodes, graph.num_edges) == (3, 2)


def test_expand_written_out():
    expanded = action_graph(rows_of()).expand()
    assert_close(expanded, torch.tensor([[1.0, 2, 3], [0.25, 0, 0]]))


def test_batch_offsets_nodes_by_nodes_and_frames_by_frames():
    graphs = [action_graph(rows_of()), action_graph(rows_of(num_nodes=0, num_frames=4)), action_graph(rows_of())]
    batch = batch_graphs(graphs)
    assert batch.edge_index.tolist() == [[0, 0, 3, 3], [0, 1, 3, 4]]
    assert batch.node_frame.tolist() == [0, 1, 1, 6, 7, 7]  # frames 2 to 5 have no nodes
    assert batch.edge_frame.tolist() == [0, 1, 6, 7]
    assert batch.edge_kind.tolist() == [0, 1, 0, 1]
    assert batch.motion_batch.tolist() == [0, 0, 1, 1, 1, 1, 2, 2]
    assert batch.batch.tolist() == [0, 0, 0, 2, 2, 2]
    assert batch.num_nodes == 6
    assert_close(batch.expand(), torch.cat([graph.expand() for graph in graphs]))
    for graph, again in zip(graphs, batch.to_data_list(), strict=True):
        assert isinstance(again, ActionGraph)
        assert all(torch.equal(value, again[name]) for name, value in graph)


@pytest.mark.parametrize("num_frames", [0, 2])
def test_a_graph_without_nodes(num_frames: int):
    graph = action_graph(rows_of(num_nodes=0, num_frames=num_frames))
    assert (graph.num_nodes, graph.num_edges) == (0, 0)
    assert graph.expand().shape == (0, 3)
    batch = batch_graphs([graph, graph])
    assert batch.num_nodes == 0
    assert len(batch.motion) == 2 * num_frames


def test_expand_takes_the_motion_of_pairs_where_it_is_there():
    rows = rows_of() | {
        "source": np.array([0, 1, 0, 2]),
        "target": np.array([0, 2, 1, 2]),
        "kind": np.array([0, 0, 1, 0]),
        "weight": np.array([1, 1, 0.25, 1]),
    }
    graph = action_graph(rows, pairs_of([1, 0, 1]))
    assert graph.edge_pair.tolist() == [1, 0, 0, 1]  # the edge between frames has no pair
    expected = torch.tensor([[40.0, 50, 60], [10, 20, 30], [0.25, 0, 0], [40, 50, 60]])
    assert_close(graph.expand(), expected)
    empty = action_graph(rows_of(num_nodes=0), NO_PAIRS)
    batch = batch_graphs([graph, empty, action_graph(rows, pairs_of([0, 0, 1], 2))])
    assert batch.edge_pair.tolist() == [1, 0, 0, 1, 2, 2, 2, 3]
    twice = torch.tensor([[20.0, 40, 60], [20, 40, 60], [0.25, 0, 0], [80, 100, 120]])
    assert_close(batch.expand(), torch.cat([expected, twice]))
    assert empty.expand().shape == (0, 3)
    for one, again in zip([graph, empty], batch.to_data_list()[:2], strict=True):
        assert all(torch.equal(value, again[name]) for name, value in one)


def test_expand_of_a_last_graph_without_pairs():
    """Nodes whose features are all zero have no edge within their frame; an edge of theirs must not be looked up."""
    rows = rows_of() | {name: rows_of()[name][1:] for name in ("source", "target", "kind", "weight")}
    batch = batch_graphs([action_graph(rows_of(), pairs_of([1])), action_graph(rows, NO_PAIRS)])
    assert batch.edge_pair[-1] == len(batch.pair_motion)
    assert_close(batch.expand(), torch.tensor([[40.0, 50, 60], [0.25, 0, 0], [0.25, 0, 0]]))


def test_a_batch_says_whose_rows_are_whose():
    graphs = [
        action_graph(rows_of(), knowledge=np.full((num_rows, 5), num_rows), objects=np.full((num_objects, 7), 0.5))
        for num_rows, num_objects in ((2, 0), (0, 3), (1, 1))
    ]
    batch = batch_graphs(graphs)
    assert batch.knowledge_batch.tolist() == [0, 0, 2]
    assert batch.knowledge[:, 0].tolist() == [2, 2, 1]
    assert batch.objects_batch.tolist() == [1, 1, 1, 2]
    assert batch.objects.shape == (4, 7)
    assert batch.knowledge.dtype == batch.objects.dtype == torch.float32
    nobody = batch_graphs(graphs[:1] * 2)
    assert nobody.objects.shape == (0, 7)
    assert nobody.objects_batch.tolist() == []
    assert not {"knowledge", "knowledge_batch", "objects", "pair_motion"} & set(
        batch_graphs([action_graph(rows_of())]).keys()
    )
