"""Gates on edges: PyTorch Geometric's edge mask on the expanded graph is the oracle."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks
from toys.expanded_graphs import (
    LAYERS,
    ODD_EDGES,
    SIZES,
    ExpandedEncoder,
    add_edge,
    make_batch,
    make_graph,
    new_encoders,
    take_edges,
    with_pairs,
)

from pipeline.models.graph_encoder import to_blocks


def gates_of(graph: Any) -> Tensor:
    return torch.rand(graph.num_edges, generator=torch.Generator().manual_seed(3)).requires_grad_()


def weighed(out: Tensor) -> Tensor:
    return out.mul(torch.linspace(-1, 1, out.numel()).view_as(out)).sum()


def of_pyg(encoder: ExpandedEncoder, graph: Any, gate: Tensor) -> tuple[Tensor, Tensor]:
    """What PyTorch Geometric's convolutions make of the expanded graph under its edge mask, and the mask's gradient."""
    set_masks(encoder, gate, graph.edge_index, apply_sigmoid=False)
    try:
        out = encoder(graph)
        (gradient,) = torch.autograd.grad(weighed(out), gate)
    finally:
        clear_masks(encoder)
    return out, gradient


def assert_gates_equal_pygs(graph: Any, convolution: str = "transformer") -> None:
    ours, theirs = new_encoders(convolution)
    gate = gates_of(graph)
    expected, expected_gradient = of_pyg(theirs, graph, gate)
    plain = ours(graph)
    graph.edge_gate = gate
    found = ours(graph)
    (gradient,) = torch.autograd.grad(weighed(found), gate)
    assert_close(found, expected, atol=1e-5, rtol=0)
    assert_close(gradient, expected_gradient, atol=1e-5, rtol=1e-5)
    assert (found - plain).abs().max() > 1e-3
    assert (gradient != 0).float().mean() > 0.9
    graph.edge_gate = torch.ones(graph.num_edges)
    assert_close(ours(graph), plain, atol=1e-6, rtol=0)


@pytest.mark.parametrize("sizes", [sizes for sizes in SIZES.values() if sum(sizes) > 1], ids=str)
def test_gates_in_blocks_equal_pygs_mask(sizes: list[int]):
    graph = make_graph(sizes)
    assert to_blocks(graph) is not None
    assert_gates_equal_pygs(graph)


def test_gates_in_a_batch_with_some_edges_taken_out_equal_pygs_mask():
    taken = take_edges(make_graph([4, 6, 5]), torch.rand(1000, generator=torch.Generator().manual_seed(2)) < 0.5)
    batch = make_batch([make_graph([3, 2]), taken, make_graph([9, 9], 4)])
    assert to_blocks(batch) is not None
    assert_gates_equal_pygs(batch)


def test_gates_edge_by_edge_equal_pygs_mask():
    graph = add_edge(make_graph([3, 4, 2]), *ODD_EDGES["over a frame"])
    assert to_blocks(graph) is None
    assert_gates_equal_pygs(graph)


@pytest.mark.parametrize("odd", [False, True], ids=["blocks", "edges"])
def test_gates_with_motion_of_pairs_equal_pygs_mask(odd: bool):
    graph = with_pairs(make_graph([3, 4, 2]))
    if odd:
        graph.edge_pair = torch.cat([graph.edge_pair, torch.zeros(1, dtype=torch.long)])
        add_edge(graph, *ODD_EDGES["over a frame"])
    assert (to_blocks(graph) is None) == odd
    assert_gates_equal_pygs(graph)


@pytest.mark.parametrize("convolution", [name for name in LAYERS if name != "transformer"])
def test_gates_of_attention_networks_equal_pygs_mask(convolution: str):
    assert_gates_equal_pygs(make_graph([3, 4, 2]), convolution)


@pytest.mark.parametrize("convolution", LAYERS)
def test_without_messages_each_node_is_what_it_is_alone(convolution: str):
    """Gates of 0 leave a node what it is in a graph without edges."""
    encoder = new_encoders(convolution)[0]
    graph = make_graph([3, 2])
    graph.edge_gate = torch.zeros(graph.num_edges)
    alone = make_graph([3, 2])
    alone.x = graph.x
    take_edges(alone, torch.zeros(alone.num_edges, dtype=torch.bool))
    assert_close(encoder(graph), encoder(alone), atol=1e-6, rtol=0)
