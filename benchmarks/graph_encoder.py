"""Compare the graph encoder on factorised edges with PyTorch Geometric's TransformerConv on expanded edges.

Run: `python -m benchmarks.graph_encoder`. One step is a forward and a backward pass. PyTorch Geometric's step includes
the expansion of the edges, which its layers cannot do without. Activation memory is what autograd saves between the two
passes, each piece of memory once and without the parameters; with PyTorch Geometric's layers it is 144 MB a video at
the paper's size, in proportion to the number of videos. Ours has 50 MB besides, however many videos there are.
"""

from collections.abc import Callable
from typing import Any

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


def saved_bytes(model: nn.Module, forward: Callable[[], Any]) -> int:
    """Bytes that autograd saves for the backward pass, each storage once, those of the parameters left out."""
    sizes: dict[int, int] = {}
    kept = []  # no address may come twice because its memory is free again

    def pack(x: Tensor) -> Tensor:
        sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        kept.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        kept.append(forward())
    for parameter in model.parameters():
        sizes.pop(parameter.untyped_storage().data_ptr(), None)
    return sum(sizes.values())


def compare(
    num_graphs: int, num_frames: int, node_dim: int, width: int, motion_dim: int, device: torch.device, rounds: int
) -> list[Row]:
    """Compare times and activation memory of both encoders on one random batch, from equal weights.

    Raises:
        ValueError: The outputs differ by more than 1e-5 of the largest.
    """
    generator = np.random.default_rng(0)
    graphs = [random_graph(generator, num_frames, node_dim, motion_dim) for _ in range(num_graphs)]
    batch = Batch.from_data_list(graphs, follow_batch=["motion"]).to(device)
    torch.manual_seed(0)
    ours = GraphEncoder(node_dim, width, 4, motion_dim).to(device)
    theirs = ExpandedEncoder(node_dim, width, 4, motion_dim).to(device)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    with torch.no_grad():
        expected = theirs(batch)
        difference = float((ours(batch) - expected).abs().max() / expected.abs().max())
    if difference > 1e-5:
        raise ValueError(f"the encoders differ by {difference:.1e} of the largest output")
    of_ours, of_theirs = take_turns(
        [lambda: ours(batch).square().mean().backward(), lambda: theirs(batch).square().mean().backward()], rounds
    )
    saved, of_peer = (saved_bytes(model, lambda model=model: model(batch)) / 1e6 for model in (ours, theirs))
    stage = f"graph encoder, {num_graphs} x {num_frames * NODES_A_FRAME} nodes, width {width}"
    peer = "PyG on expanded edges"
    return [
        Row(stage, f"{of_ours.wall:.0f} ms", f"{peer}: {of_theirs.wall:.0f} ms", of_theirs.wall / of_ours.wall, 4),
        Row(f"{stage}, memory", f"{saved:.0f} MB", f"{peer}: {of_peer:.0f} MB", of_peer / saved, 20),
    ]


def rows(rounds: int) -> list[Row]:
    """Measure at the demo's size, and at the paper's with fewer videos."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = [(64, 8, 128, 128, 1024), (4, 20, 512, 1024, 1024)]
    if device.type == "cuda":
        sizes.append((32, 20, 512, 1024, 1024))  # PyTorch Geometric's layers save 4.6 GB
    return [row for size in sizes for row in compare(*size, device, rounds)]


if __name__ == "__main__":
    raise SystemExit(main("graph_encoder", __doc__, rows))
