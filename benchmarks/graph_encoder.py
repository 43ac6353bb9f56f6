"""Compare the graph encoder on factorised edges with PyTorch Geometric's TransformerConv on expanded edges.

Run: `python -m benchmarks.graph_encoder`. One step is a forward and a backward pass. PyTorch Geometric's step includes
the expansion of the edges, which its layers cannot do without.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import TransformerConv

from benchmarks.measuring import Row, main, take_turns
from pipeline.models.action_graph import ActionGraph, action_graph
from pipeline.models.graph_encoder import GraphEncoder
from pipeline.stages.build_spatial_graphs import spatial_edges
from pipeline.stages.build_temporal_graphs import temporal_edges
from pipeline.stages.convert_graphs import join_edges

NODES_A_FRAME = 9


class ExpandedEncoder(nn.Module):
    """The same function as `GraphEncoder`, written with PyTorch Geometric's layers."""

    def __init__(self, node_dim: int, width: int, num_heads: int, motion_dim: int) -> None:
        super().__init__()
        self.lp = nn.Linear(node_dim, width)
        settings = {"heads": num_heads, "edge_dim": motion_dim, "beta": True, "aggr": "mean"}
        self.conv1 = TransformerConv(width, width // num_heads, **settings)
        self.conv2 = TransformerConv(width, width // num_heads, **settings)
        self.conv3 = TransformerConv(width, width // num_heads, **settings)

    def forward(self, graph: ActionGraph) -> Tensor:
        """Encode the nodes, `[N, width]`."""
        x, edge_attr = self.lp(graph.x), graph.expand()
        for conv in (self.conv1, self.conv2, self.conv3):
            x = torch.relu(x + conv(x, graph.edge_index, edge_attr))
        return x


def random_graph(generator: np.random.Generator, num_frames: int, node_dim: int, motion_dim: int) -> ActionGraph:
    x = generator.normal(size=(num_frames * NODES_A_FRAME, node_dim))
    node_frame = np.repeat(np.arange(num_frames), NODES_A_FRAME)
    motion = np.abs(generator.normal(size=(num_frames, motion_dim)))
    edges = join_edges(spatial_edges(x, node_frame), temporal_edges(x, node_frame))
    return action_graph({"x": x, "node_frame": node_frame, "box": np.zeros((len(x), 4)), "motion": motion, **edges})


def compare(
    num_graphs: int, num_frames: int, node_dim: int, width: int, motion_dim: int, device: torch.device, rounds: int
) -> Row:
    """Time both encoders on one random batch, from equal weights."""
    generator = np.random.default_rng(0)
    graphs = [random_graph(generator, num_frames, node_dim, motion_dim) for _ in range(num_graphs)]
    batch = Batch.from_data_list(graphs, follow_batch=["motion"]).to(device)
    torch.manual_seed(0)
    ours = GraphEncoder(node_dim, width, 4, motion_dim).to(device)
    theirs = ExpandedEncoder(node_dim, width, 4, motion_dim).to(device)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    of_ours, of_theirs = take_turns(
        [lambda: ours(batch).square().mean().backward(), lambda: theirs(batch).square().mean().backward()], rounds
    )
    size = f"{num_graphs} x {num_frames * NODES_A_FRAME} nodes, width {width}"
    peer = f"PyG on expanded edges: {of_theirs.wall:.0f} ms"
    return Row(f"graph encoder, {size}", f"{of_ours.wall:.0f} ms", peer, of_theirs.wall / of_ours.wall, 4)


def rows(rounds: int) -> list[Row]:
    """Measure at the demo's size, and at the paper's with fewer videos."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = [(64, 8, 128, 128, 1024), (4, 20, 512, 1024, 1024)]
    if device.type == "cuda":
        sizes.append((32, 20, 512, 1024, 1024))  # one copy of its expanded edges is 0.4 GB, autograd keeps many
    return [compare(*size, device, rounds) for size in sizes]


if __name__ == "__main__":
    raise SystemExit(main("graph_encoder", __doc__, rows))
