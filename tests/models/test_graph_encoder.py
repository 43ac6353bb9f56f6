import pytest
import torch
from torch.testing import assert_close
from toys.expanded_graphs import (
    LAYERS,
    NODE_DIM,
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

from pipeline.models.action_graph import ActionGraph
from pipeline.models.graph_encoder import GraphEncoder, to_blocks


@pytest.fixture
def encoders() -> tuple[GraphEncoder, ExpandedEncoder]:
    """Ours and PyTorch Geometric's with equal weights, loaded strictly one way and the other."""
    return new_encoders("transformer")


def assert_equal_to_pyg(
    encoders: tuple[GraphEncoder, ExpandedEncoder], graph: ActionGraph, tolerance: float = 1e-5
) -> None:
    """Outputs agree to the tolerance; the gradients of every parameter, of nodes and motion to 1e-5."""
    results = []
    motion = "pair_motion" if "pair_motion" in graph else "motion"
    for encoder in encoders:
        graph.x, graph[motion] = (tensor.detach().requires_grad_() for tensor in (graph.x, graph[motion]))
        encoder.zero_grad()
        out = encoder(graph)
        out.mul(torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
        gradients = {name: parameter.grad for name, parameter in encoder.named_parameters()}
        results.append((out, graph.x.grad, graph[motion].grad, gradients))
    assert_close(results[0][0], results[1][0], atol=tolerance, rtol=0)
    for ours, theirs in zip(results[0][1:3], results[1][1:3], strict=True):
        assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert results[0][3].keys() == results[1][3].keys()
    for name, theirs in results[1][3].items():
        assert_close(results[0][3][name], theirs, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_equals_pyg_alone(encoders: tuple[GraphEncoder, ExpandedEncoder], sizes: list[int]):
    assert_equal_to_pyg(encoders, make_graph(sizes))


def test_equals_pyg_in_a_batch(encoders: tuple[GraphEncoder, ExpandedEncoder]):
    batch = make_batch([make_graph(sizes, seed) for seed, sizes in enumerate(SIZES.values())])
    assert to_blocks(batch) is not None
    assert_equal_to_pyg(encoders, batch)


def test_equals_pyg_with_a_node_without_edges(encoders: tuple[GraphEncoder, ExpandedEncoder]):
    graph = make_graph([3, 3], invalid=4)
    assert 4 not in graph.edge_index
    assert_equal_to_pyg(encoders, graph)


def test_equals_pyg_when_nodes_are_not_sorted_by_frame(encoders: tuple[GraphEncoder, ExpandedEncoder]):
    graph = make_graph([3, 5, 2])
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    graph.edge_index = order.argsort()[graph.edge_index]
    graph.x, graph.node_frame, graph.node_box = graph.x[order], graph.node_frame[order], graph.node_box[order]
    assert to_blocks(graph) is not None
    assert_equal_to_pyg(encoders, graph)


def test_equals_pyg_with_some_edges_taken_out(encoders: tuple[GraphEncoder, ExpandedEncoder]):
    graph = take_edges(make_graph([4, 6, 5]), torch.rand(1000, generator=torch.Generator().manual_seed(2)) < 0.5)
    assert to_blocks(graph) is not None
    assert_equal_to_pyg(encoders, graph)


@pytest.mark.parametrize("edge", ODD_EDGES.values(), ids=ODD_EDGES.keys())
def test_equals_pyg_on_edges_that_do_not_fit_blocks(
    encoders: tuple[GraphEncoder, ExpandedEncoder], request: pytest.FixtureRequest, edge: tuple
):
    graph = make_graph([3, 4, 2])
    if "twice" not in request.node.callspec.id:  # else the old edge in its place would keep it out of the blocks
        take_edges(graph, (graph.edge_index != torch.tensor(edge[:2]).unsqueeze(1)).any(0))
    add_edge(graph, *edge)
    assert to_blocks(graph) is None
    assert_equal_to_pyg(encoders, graph)
    batch = make_batch([make_graph([2, 2], 5), graph, make_graph([9], 6)])
    assert to_blocks(batch) is None
    assert_equal_to_pyg(encoders, batch)


@pytest.mark.parametrize("odd", [False, True], ids=["blocks", "edges"])
def test_equals_pyg_with_motion_of_pairs(encoders: tuple[GraphEncoder, ExpandedEncoder], odd: bool):
    graphs = [with_pairs(make_graph(sizes, seed), seed) for seed, sizes in enumerate(SIZES.values())]
    if odd:
        graph = graphs[0]
        graph.edge_pair = torch.cat([graph.edge_pair, torch.zeros(1, dtype=torch.long)])
        add_edge(graph, *ODD_EDGES["backwards"])
    batch = make_batch(graphs)
    assert (to_blocks(batch) is None) == odd
    assert_equal_to_pyg(encoders, batch, tolerance=2e-6)
    alone = [encoders[0](graph) for graph in graphs]
    assert_close(encoders[0](batch), torch.cat(alone), atol=1e-6, rtol=0)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_equals_pyg_alone_with_motion_of_pairs(encoders: tuple[GraphEncoder, ExpandedEncoder], sizes: list[int]):
    assert_equal_to_pyg(encoders, with_pairs(make_graph(sizes)), tolerance=2e-6)


def test_pairs_with_the_motion_of_their_frame_change_nothing(encoders: tuple[GraphEncoder, ExpandedEncoder]):
    graph = make_graph([4, 2, 5])
    plain = encoders[0](graph)
    graph.pair_motion, graph.edge_pair = graph.motion, graph.edge_frame
    assert_close(encoders[0](graph), plain, atol=2e-6, rtol=0)
    assert (encoders[0](with_pairs(graph)) - plain).abs().max() > 1e-3


@pytest.mark.parametrize("pairs", [False, True], ids=["of frames", "of pairs"])
@pytest.mark.parametrize("convolution", ["gat", "gatv2"])
def test_attention_networks_are_pygs(convolution: str, pairs: bool):
    graphs = [make_graph(sizes, seed) for seed, sizes in enumerate(SIZES.values())]
    encoders = new_encoders(convolution)
    batch = make_batch([with_pairs(graph) for graph in graphs] if pairs else graphs)
    assert_equal_to_pyg(encoders, batch)
    assert_close(encoders[0](batch), torch.cat([encoders[0](graph) for graph in graphs]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("convolution", LAYERS)
def test_an_empty_node_is_what_a_padded_graph_makes_of_it(convolution: str):
    encoder = new_encoders(convolution)[0]
    graph = make_graph([3, 2])
    encoded = encoder(graph)
    padded = make_graph([3, 2])
    padded.x = torch.cat([padded.x, torch.zeros(1, NODE_DIM)])
    padded.node_frame = torch.cat([padded.node_frame, torch.tensor([1])])
    with_empty = encoder(padded)
    assert_close(with_empty[:-1], encoded, atol=1e-6, rtol=0)
    assert_close(encoder.empty_node(), with_empty[-1], atol=1e-6, rtol=0)
    assert encoder.empty_node().abs().max() > 1e-3


def test_mostly_empty_blocks_are_not_made(encoders: tuple[GraphEncoder, ExpandedEncoder]):
    graph = make_graph([40] + [1] * 30)
    assert to_blocks(graph) is None
    assert_equal_to_pyg(encoders, graph)


@pytest.mark.parametrize("odd", [False, True], ids=["blocks", "edges"])
def test_batched_is_per_graph_and_order_does_not_matter(encoders: tuple[GraphEncoder, ExpandedEncoder], odd: bool):
    graphs = [make_graph(sizes, seed) for seed, sizes in enumerate(SIZES.values())]
    if odd:
        add_edge(graphs[0], *ODD_EDGES["backwards"])
    alone = [encoders[0](graph) for graph in graphs]
    assert (to_blocks(make_batch(graphs)) is None) == odd
    assert_close(encoders[0](make_batch(graphs)), torch.cat(alone), atol=1e-6, rtol=0)
    order = [3, 0, 6, 5, 1, 2, 4]
    permuted = encoders[0](make_batch([graphs[number] for number in order]))
    assert_close(permuted, torch.cat([alone[number] for number in order]), atol=1e-6, rtol=0)


def test_large_scores_stay_finite(encoders: tuple[GraphEncoder, ExpandedEncoder]):
    graph = make_graph([3, 3])
    graph.x *= 1e4
    blocks = encoders[0](graph)
    edges = encoders[0](add_edge(graph, *ODD_EDGES["backwards"]))
    assert blocks.isfinite().all()
    assert edges.isfinite().all()


@pytest.mark.parametrize("variant", ["blocks", "edges", "pairs", "gat", "gatv2"])
def test_runs_in_bf16_close_to_fp32(variant: str):
    graph = make_graph([9, 9])
    if variant == "edges":
        add_edge(graph, *ODD_EDGES["backwards"])
    if variant == "pairs":
        with_pairs(graph)
    encoder = new_encoders(variant if variant in LAYERS else "transformer")[0]
    exact = encoder(graph)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = encoder(graph)
        rough.float().sum().backward()
    assert_close(rough.float(), exact, atol=0.05, rtol=0.05)
    assert encoder.lp.weight.grad.isfinite().all()


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="multiple of num_heads 3"):
        GraphEncoder(4, 16, 3, 5)
