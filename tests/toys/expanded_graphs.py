"""The graph encoder of PyTorch Geometric's layers on expanded edges, and graphs of all kinds for it and ours."""

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import GATConv, GATv2Conv, TransformerConv

from pipeline.models.action_graph import WITHIN_FRAME, ActionGraph, action_graph, batch_graphs
from pipeline.models.graph_encoder import GraphEncoder
from pipeline.stages.build_spatial_graphs import spatial_edges
from pipeline.stages.build_temporal_graphs import temporal_edges
from pipeline.stages.convert_graphs import join_edges

NODE_DIM, WIDTH, HEADS, MOTION_DIM = 6, 16, 4, 10
SIZES = {
    "grid": [9, 9, 9],
    "any number": [0, 1, 9, 13],
    "gap": [3, 0, 0, 4],
    "one frame": [5],
    "one node": [1],
    "nodeless frames": [0, 0],
    "no frames": [],
}


LAYERS = {
    "transformer": (TransformerConv, {"beta": True, "aggr": "mean"}),
    "gat": (GATConv, {"add_self_loops": False}),
    "gatv2": (GATv2Conv, {"add_self_loops": False}),
}


class ExpandedEncoder(nn.Module):
    """The same encoder of PyTorch Geometric's layers, which take expanded edges."""

    def __init__(self, convolution: str = "transformer") -> None:
        super().__init__()
        self.lp = nn.Linear(NODE_DIM, WIDTH)
        layer, settings = LAYERS[convolution]
        for name in ("conv1", "conv2", "conv3"):
            self.add_module(name, layer(WIDTH, WIDTH // HEADS, heads=HEADS, edge_dim=MOTION_DIM, **settings))

    def forward(self, graph: ActionGraph) -> Tensor:
        x = self.lp(graph.x)
        for conv in (self.conv1, self.conv2, self.conv3):
            x = torch.relu(x + conv(x, graph.edge_index, graph.expand()))
        return x


def new_encoders(convolution: str) -> tuple[GraphEncoder, ExpandedEncoder]:
    torch.manual_seed(0)
    ours, theirs = GraphEncoder(NODE_DIM, WIDTH, HEADS, MOTION_DIM, convolution), ExpandedEncoder(convolution)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return ours, theirs


def make_graph(sizes: list[int], seed: int = 0, invalid: int | None = None) -> ActionGraph:
    """A graph of frames with these numbers of nodes; node `invalid` has features of zero."""
    generator = np.random.default_rng(seed)
    node_frame = np.repeat(np.arange(len(sizes)), sizes)
    x = generator.normal(size=(len(node_frame), NODE_DIM))
    if invalid is not None:
        x[invalid] = 0
    edges = join_edges(spatial_edges(x, node_frame), temporal_edges(x, node_frame))
    motion = 2 * generator.random((len(sizes), MOTION_DIM))
    return action_graph({"x": x, "node_frame": node_frame, "box": np.zeros((len(x), 4)), "motion": motion, **edges})


def make_batch(graphs: list[ActionGraph]) -> Batch:
    return batch_graphs(graphs)


def with_pairs(graph: ActionGraph, seed: int = 0) -> ActionGraph:
    """The graph with motion of pairs: of two nodes within a frame the same either way round."""
    within = graph.edge_kind == WITHIN_FRAME
    pairs, rows = graph.edge_index[:, within].sort(dim=0).values.unique(dim=1, return_inverse=True)
    graph.edge_pair = torch.zeros_like(graph.edge_kind)
    graph.edge_pair[within] = rows.reshape(-1)
    graph.pair_motion = 2 * torch.rand(pairs.shape[1], MOTION_DIM, generator=torch.Generator().manual_seed(seed))
    return graph


def take_edges(graph: ActionGraph, keep: Tensor) -> ActionGraph:
    keep = keep[: graph.num_edges]
    graph.edge_index = graph.edge_index[:, keep]
    for name in ("edge_kind", "edge_frame", "edge_weight"):
        graph[name] = graph[name][keep]
    return graph


def add_edge(graph: ActionGraph, source: int, target: int, kind: int, frame: int, weight: float) -> ActionGraph:
    graph.edge_index = torch.cat([graph.edge_index, torch.tensor([[source], [target]])], dim=1)
    graph.edge_kind = torch.cat([graph.edge_kind, torch.tensor([kind])])
    graph.edge_frame = torch.cat([graph.edge_frame, torch.tensor([frame])])
    graph.edge_weight = torch.cat([graph.edge_weight, torch.tensor([weight])])
    return graph


# In a graph of frames of 3, 4 and 2 nodes: what attention in blocks cannot express.
ODD_EDGES = {
    "twice, another weight": (0, 3, 1, 1, 0.9),
    "twice, within a frame": (0, 1, 0, 0, 1.0),
    "backwards": (3, 0, 1, 0, 0.4),
    "over a frame": (0, 7, 1, 2, 0.4),
    "temporal edge within a frame": (0, 1, 1, 0, 0.4),
    "motion edge between frames": (0, 3, 0, 1, 1.0),
    "motion of another frame": (7, 8, 0, 0, 1.0),
}
