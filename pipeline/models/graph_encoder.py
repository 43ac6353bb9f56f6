"""Graph encoder of the captioner: a linear layer and three graph convolutions over an action graph.

The default convolution, `transformer`, is the graph transformer of "Masked Label Prediction: Unified Message Passing
Model for Semi-Supervised Classification" (Shi et al., 2021, equations 3 to 5). It has the form and the parameter names
of PyTorch Geometric's `TransformerConv(width, width // num_heads, heads=num_heads, edge_dim=motion_dim, beta=True,
aggr="mean")`, so that either one loads the state dict of the other. The layers are stacked as in "Action Knowledge for
Video Captioning with Graph Neural Networks" (Hendria et al., 2023, section 3.3). `gat` and `gatv2` put PyTorch
Geometric's convolutions of "Graph Attention Networks" (Velickovic et al., 2018) and "How Attentive are Graph Attention
Networks?" (Brody et al., 2022) in its place.

For the transformer the edge features are never expanded. All edges within a frame carry the same motion, so it is
projected once for a frame, or once for a pair of nodes if pairs have motion of their own. The projected feature of an
edge between frames is the edge's weight times the first column of the projection.

A graph may have a gate for each edge, which multiplies its attention in every layer after the softmax: an edge whose
gate is 0 gives no message, and those of all others are as before. Gradients with respect to gates tell which edges
matter (PyTorch Geometric's explainers do this with an edge mask, which has no effect here, because they know only its
own convolutions).

Shapes: N nodes, E edges, F frames, P pairs, K places for nodes in a frame, S = 2 K places for sources (own frame, frame
before), X nodes or places (F K), Y rows of motion (F or P), H heads, C channels of a head, W = H C width, M motion
features.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn import GATConv, GATv2Conv, MessagePassing

from pipeline.models.action_graph import TO_NEXT_FRAME, WITHIN_FRAME, ActionGraph
from pipeline.models.block_attention import BlockAttention

MAX_PLACES_AN_EDGE = 8  # a single edge costs about as much as eight places of a block (measured)


@dataclass(frozen=True)
class Blocks:
    """The edges of a graph as one block of attention for each frame.

    The nodes of a frame, as targets, attend to the nodes of their own frame and of the frame before, as sources.

    Attributes:
        place: Place of each node, which is its frame times K plus its number within the frame, `[N]`.
        edge: Whether there is an edge from source S to target K, `[F, K, S]`.
        weight: Temporal weight of the edge; 0 for edges within a frame and where there is no edge, `[F, K, S]`.
        scale: One over the number of edges into a target; 0 for a target without edges, `[F, K, 1]`.
        pair: Row of `pair_motion` of the edge from each source in the target's own frame; P where there is no edge,
            `[F, K, K]`. None if edges within a frame carry the motion of the frame.
        gate: What the attention of each edge is multiplied by; 0 where there is no edge, `[F, K, S]`. None if the graph
            has no gates.
    """

    place: Tensor
    edge: Tensor
    weight: Tensor
    scale: Tensor
    pair: Tensor | None
    gate: Tensor | None


def to_blocks(graph: ActionGraph) -> Blocks | None:
    """Arrange the edges as blocks.

    Args:
        graph: A graph or a batch of graphs.

    Returns:
        The blocks; or None if the edges do not fit into blocks, because

        - there are no nodes or no edges,
        - an edge within a frame leaves its frame or carries another frame's motion,
        - an edge between frames does not come from the frame before,
        - two edges have the same source, target and kind,
        - or there are so few edges that more than seven eighths of the places would be empty.
    """
    num_nodes, num_edges, num_frames = graph.x.size(0), graph.edge_index.size(1), graph.motion.size(0)
    if num_nodes == 0 or num_edges == 0:
        return None
    frame_N = graph.node_frame
    sizes_F = torch.bincount(frame_N, minlength=num_frames)
    order_N = torch.argsort(frame_N, stable=True)
    first_F = sizes_F.cumsum(0) - sizes_F
    number_N = torch.empty_like(frame_N)
    number_N[order_N] = torch.arange(num_nodes, device=frame_N.device) - first_F[frame_N[order_N]]

    source_E, target_E = graph.edge_index
    step_E = frame_N[target_E] - frame_N[source_E]
    within_E = (graph.edge_kind == WITHIN_FRAME) & (step_E == 0) & (graph.edge_frame == frame_N[target_E])
    between_E = (graph.edge_kind == TO_NEXT_FRAME) & (step_E == 1)
    fits, size = torch.stack([(within_E | between_E).all().long(), sizes_F.max()]).tolist()
    if not fits or num_frames * 2 * size**2 > MAX_PLACES_AN_EDGE * num_edges:
        return None

    place_N = frame_N * size + number_N
    place_E = place_N[target_E] * 2 * size + number_N[source_E] + size * step_E
    count = torch.bincount(place_E, minlength=num_frames * size * 2 * size)
    if count.max() > 1:
        return None
    weight = torch.zeros(len(count), dtype=graph.edge_weight.dtype, device=count.device)
    weight[place_E] = torch.where(between_E, graph.edge_weight, 0)
    edge_FKS = count.view(num_frames, size, 2 * size) > 0
    num_sources_FK1 = edge_FKS.sum(2, keepdim=True)
    scale_FK1 = torch.where(num_sources_FK1 > 0, 1 / num_sources_FK1.clamp(min=1), 0)
    pair_FKK = None
    if "pair_motion" in graph:
        pair = torch.full_like(count, graph.pair_motion.size(0))
        pair[place_E] = graph.edge_pair
        pair_FKK = pair.view_as(edge_FKS)[..., :size]
    gate_FKS = None
    if "edge_gate" in graph:
        gate_FKS = graph.edge_gate.new_zeros(len(count)).index_copy(0, place_E, graph.edge_gate).view_as(edge_FKS)
    return Blocks(place_N, edge_FKS, weight.view_as(edge_FKS), scale_FK1, pair_FKK, gate_FKS)


class FactorisedTransformerConv(nn.Module):
    """PyTorch Geometric's `TransformerConv` (concatenated heads, `beta=True`, `aggr="mean"`) on factorised edges.

    Args:
        width: Number of channels of a node, in and out.
        num_heads: Number of attention heads, which divides the width.
        motion_dim: Number of motion features of a frame or a pair.
    """

    def __init__(self, width: int, num_heads: int, motion_dim: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.lin_key = nn.Linear(width, width)
        self.lin_query = nn.Linear(width, width)
        self.lin_value = nn.Linear(width, width)
        self.lin_edge = nn.Linear(motion_dim, width, bias=False)
        self.lin_skip = nn.Linear(width, width)
        self.lin_beta = nn.Linear(3 * width, 1, bias=False)

    def forward(self, x_XW: Tensor, graph: ActionGraph, blocks: Blocks | None) -> Tensor:
        """Pass messages once.

        Args:
            x_XW: Nodes, `[F K, W]` in the places of the blocks, or `[N, W]` without blocks.
            graph: The graph or batch of graphs.
            blocks: The edges of the graph as blocks; None to work edge by edge, which is possible with any edges.

        Returns:
            New nodes, of the shape of `x_XW`.
        """
        has_pairs = "pair_motion" in graph
        motion_YW = self.lin_edge(graph.pair_motion if has_pairs else graph.motion)  # rows for pairs, or for frames
        # One product of four times the width is faster than four.
        layers = (self.lin_query, self.lin_key, self.lin_value, self.lin_skip)
        weight = torch.cat([layer.weight for layer in layers])
        mixed = F.linear(x_XW, weight, torch.cat([layer.bias for layer in layers]))
        width = self.lin_skip.out_features
        query_key_value, skip_XW = torch.split(mixed, [3 * width, width], dim=1)
        query_XW, key_XW, value_XW = query_key_value.chunk(3, dim=1)
        if blocks is None:
            row_E = graph.edge_pair if has_pairs else graph.edge_frame
            message_XW = self._by_edges(query_XW, key_XW, value_XW, motion_YW, row_E, graph)
        elif blocks.pair is None:
            message_XW = self._by_frames(query_key_value, motion_YW, blocks)
        else:
            message_XW = self._by_pairs(query_XW, key_XW, value_XW, motion_YW, blocks, blocks.pair)
        # The gate's input is [message, skip, message - skip]; splitting its weights avoids putting that together.
        of_message_1W, of_skip_1W, of_difference_1W = self.lin_beta.weight.chunk(3, dim=1)
        gate_X1 = F.linear(message_XW, of_message_1W + of_difference_1W)
        gate_X1 = torch.sigmoid(gate_X1 + F.linear(skip_XW, of_skip_1W - of_difference_1W))
        return torch.lerp(message_XW, skip_XW.to(message_XW.dtype), gate_X1.to(message_XW.dtype))

    def _by_frames(self, query_key_value: Tensor, motion_FW: Tensor, blocks: Blocks) -> Tensor:
        num_frames, size, _ = blocks.edge.shape
        first_HC = self.lin_edge.weight[:, 0].to(query_key_value.dtype).view(self.num_heads, -1)
        query_key_value_FK3HC = query_key_value.view(num_frames, size, 3, self.num_heads, -1)
        motion_FHC = motion_FW.view(num_frames, self.num_heads, -1)
        scale = blocks.scale if blocks.gate is None else blocks.scale * blocks.gate
        message_FKW: Tensor = BlockAttention.apply(
            query_key_value_FK3HC, motion_FHC, first_HC, blocks.edge, blocks.weight, scale
        )
        return message_FKW.flatten(0, 1)

    def _by_pairs(
        self, query_XW: Tensor, key_XW: Tensor, value_XW: Tensor, motion_PW: Tensor, blocks: Blocks, pair_FKK: Tensor
    ) -> Tensor:
        query_FHKC = self._blocked(query_XW, blocks)
        key_FHSC, value_FHSC = self._with_frame_before(key_XW, blocks), self._with_frame_before(value_XW, blocks)
        first_HC1 = self.lin_edge.weight[:, 0].view(self.num_heads, -1, 1)
        weight_F1KS = blocks.weight.unsqueeze(1)
        score_FHKS = query_FHKC @ key_FHSC.transpose(2, 3) + (query_FHKC @ first_HC1) * weight_F1KS
        num_places = pair_FKK.size(2)
        pair_FKKHC = F.pad(motion_PW, (0, 0, 0, 1))[pair_FKK].view(*pair_FKK.shape, self.num_heads, -1)
        of_pair_FHKK = torch.einsum("fhkc,fkjhc->fhkj", query_FHKC, pair_FKKHC)
        score_FHKS = (score_FHKS + F.pad(of_pair_FHKK, (0, num_places))) / math.sqrt(query_FHKC.size(3))
        # -inf would give NaN for a target without edges; with this number, its scale of 0 makes its message 0.
        score_FHKS = score_FHKS.masked_fill(~blocks.edge.unsqueeze(1), torch.finfo(score_FHKS.dtype).min)
        alpha_FHKS = score_FHKS.softmax(dim=3)
        if blocks.gate is not None:
            alpha_FHKS = alpha_FHKS * blocks.gate.unsqueeze(1)
        between_FHK1 = (alpha_FHKS * weight_F1KS).sum(3, keepdim=True)
        message_FHKC = alpha_FHKS @ value_FHSC + between_FHK1 * first_HC1.transpose(1, 2)
        own_FHKK = alpha_FHKS[..., :num_places]
        message_FHKC = message_FHKC + torch.einsum("fhkj,fkjhc->fhkc", own_FHKK, pair_FKKHC.to(own_FHKK.dtype))
        return (message_FHKC * blocks.scale.unsqueeze(1)).transpose(1, 2).reshape_as(query_XW)

    def _blocked(self, x_XW: Tensor, blocks: Blocks) -> Tensor:
        num_frames, size, _ = blocks.edge.shape
        return x_XW.view(num_frames, size, self.num_heads, -1).transpose(1, 2)

    def _with_frame_before(self, x_XW: Tensor, blocks: Blocks) -> Tensor:
        """Sources of each frame `[F, H, S, C]`: its own nodes, and those of the frame before.

        The frame before the first frame of a graph is the last one of another graph, or of the same one; no edge comes
        from there.
        """
        x_FHKC = self._blocked(x_XW, blocks)
        return torch.cat([x_FHKC, x_FHKC.roll(1, dims=0)], dim=2)

    def _by_edges(
        self, query_NW: Tensor, key_NW: Tensor, value_NW: Tensor, motion_YW: Tensor, row_E: Tensor, graph: ActionGraph
    ) -> Tensor:
        source_E, target_E = graph.edge_index
        first_1W = self.lin_edge.weight[:, 0].unsqueeze(0).to(motion_YW.dtype)
        num_nodes, num_edges = len(query_NW), len(source_E)
        within_E = graph.edge_kind == WITHIN_FRAME
        row_E = torch.where(within_E, row_E, len(motion_YW))
        factor_E1 = torch.where(within_E, 1, graph.edge_weight).unsqueeze(1)
        edge_EW = torch.cat([motion_YW, first_1W])[row_E] * factor_E1

        query_EHC = query_NW[target_E].view(num_edges, self.num_heads, query_NW.size(1) // self.num_heads)
        key_EHC = (key_NW[source_E] + edge_EW).view_as(query_EHC)
        score_EH = (query_EHC * key_EHC).sum(2) / math.sqrt(query_EHC.size(2))
        score_EH = score_EH.to(torch.promote_types(score_EH.dtype, torch.float32))
        index_EH = target_E.unsqueeze(1).expand_as(score_EH)
        zeros_NH = score_EH.new_zeros(num_nodes, self.num_heads)
        largest_NH = zeros_NH.scatter_reduce(0, index_EH, score_EH.detach(), "amax", include_self=False)
        part_EH = (score_EH - largest_NH[target_E]).exp()
        total_NH = zeros_NH.index_add(0, target_E, part_EH)
        num_sources_N1 = torch.bincount(target_E, minlength=num_nodes).clamp(min=1).unsqueeze(1)
        alpha_EH1 = (part_EH / (total_NH * num_sources_N1)[target_E]).unsqueeze(2)
        if "edge_gate" in graph:
            alpha_EH1 = alpha_EH1 * graph.edge_gate[:, None, None]
        message_EW = ((value_NW[source_E] + edge_EW).view_as(query_EHC) * alpha_EH1).flatten(1)
        return message_EW.new_zeros(query_NW.shape).index_add(0, target_E, message_EW)


GraphConvolution = Literal["transformer", "gat", "gatv2"]


class GraphEncoder(nn.Module):
    """A linear layer, then three times `x = relu(x + conv(x))`.

    `gat` and `gatv2` need a vector for each edge, the transformer does not:

    - `gat`, `gatv2`: E M numbers of edge features, and E W numbers of messages in each layer. For 20 frames of 9 nodes
      with 1,024 motion features that is 13 MB, and in training about as much again for each layer.
    - `transformer`: F M numbers of motion and, in blocks, F K S scores for each head. On a CPU it takes a sixth to an
      eighth of the time (measured at a width of 512; see docs/decisions/001-factorised-graphs.md).

    Args:
        node_dim: Number of features of a node.
        width: Number of channels of a node in the encoder and in its output.
        num_heads: Number of attention heads, which divides the width.
        motion_dim: Number of motion features of a frame or a pair.
        convolution: Kind of the convolutions: `transformer`, `gat` or `gatv2`.

    Raises:
        ValueError: The number of heads does not divide the width.
    """

    def __init__(
        self, node_dim: int, width: int, num_heads: int, motion_dim: int, convolution: GraphConvolution = "transformer"
    ) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"width {width} is not a multiple of num_heads {num_heads}")
        self.node_dim, self.motion_dim = node_dim, motion_dim
        self.lp = nn.Linear(node_dim, width)
        self.conv1 = new_convolution(convolution, width, num_heads, motion_dim)
        self.conv2 = new_convolution(convolution, width, num_heads, motion_dim)
        self.conv3 = new_convolution(convolution, width, num_heads, motion_dim)

    def forward(self, graph: ActionGraph) -> Tensor:
        """Encode the nodes.

        Args:
            graph: A graph, or a batch of graphs made by `batch_graphs`.

        Returns:
            Encoded nodes `[N, width]`, in the order of `graph.x`.
        """
        if not isinstance(self.conv1, FactorisedTransformerConv):
            return self._on_expanded_edges(graph)
        blocks = to_blocks(graph)
        x_XW: Tensor = self.lp(graph.x)
        if blocks is not None:
            x_XW = x_XW.new_zeros(blocks.edge[..., 0].numel(), x_XW.size(1)).index_copy(0, blocks.place, x_XW)
        for conv in (self.conv1, self.conv2, self.conv3):
            x_XW = torch.relu(x_XW + conv(x_XW, graph, blocks))
        return x_XW if blocks is None else x_XW.index_select(0, blocks.place)

    def empty_node(self) -> Tensor:
        """Encode a node of zeros without edges, which gives the same `[width]` in every graph."""
        zeros, none = self.lp.weight.new_zeros, self.lp.weight.new_zeros(0, dtype=torch.long)
        graph = ActionGraph(
            x=zeros(1, self.node_dim),
            node_frame=zeros(1, dtype=torch.long),
            edge_index=torch.stack([none, none]),
            edge_kind=none,
            edge_frame=none,
            edge_weight=zeros(0),
            motion=zeros(1, self.motion_dim),
        )
        encoded: Tensor = self(graph)
        return encoded[0]

    def _on_expanded_edges(self, graph: ActionGraph) -> Tensor:
        edge_attr_EM = graph.expand()
        x_NW: Tensor = self.lp(graph.x)
        for conv in (self.conv1, self.conv2, self.conv3):
            with gated(conv, graph):
                x_NW = torch.relu(x_NW + conv(x_NW, graph.edge_index, edge_attr_EM))
        return x_NW


@contextmanager
def gated(convolution: MessagePassing, graph: ActionGraph) -> Iterator[None]:
    """Multiply the messages of one of PyTorch Geometric's convolutions by the gates of the edges, if there are any."""
    if "edge_gate" not in graph:
        yield
        return
    gate_E11 = graph.edge_gate[:, None, None]
    hook = convolution.register_message_forward_hook(lambda _conv, _inputs, message_EHC: message_EHC * gate_E11)
    try:
        yield
    finally:
        hook.remove()


def new_convolution(convolution: GraphConvolution, width: int, num_heads: int, motion_dim: int) -> nn.Module:
    """Make one convolution, whose heads are concatenated to the width.

    PyTorch Geometric adds no self-loops, because an action graph already has those that it needs.
    """
    if convolution == "transformer":
        return FactorisedTransformerConv(width, num_heads, motion_dim)
    of: type[nn.Module] = {"gat": GATConv, "gatv2": GATv2Conv}[convolution]
    return of(width, width // num_heads, heads=num_heads, edge_dim=motion_dim, add_self_loops=False)
