"""Turn action graphs into frame tokens: graph encoder, mean over the nodes of a frame, transformer over the frames.

The visual transformer is UniVL's (Luo et al., 2020) and follows the graph encoder as in AKG-sv (VCModel); here the
number of frames is not fixed. Two settings choose how nodes become frames:

- `node_position: learned` adds an embedding of a node's box to its features, both normalised. Without it the mean over
  a frame's nodes can hardly tell left from right, and nothing tells where an object is.
- `pool: present` takes the mean over the nodes that a frame has. `pool: padded` is the published way: every frame is
  padded to the largest number of nodes that a frame can have, with nodes of zeros that have no edges, and the mean is
  taken over all of them. The graph encoder gives every added node the same vector, so only one is encoded.

Shapes: G graphs, F frames of all graphs, N nodes of all graphs, T frames of a graph, D width.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.captioning.box_position import BoxPosition, with_position
from pipeline.captioning.row_encoder import lay_out, with_first
from pipeline.config import CaptionerModelSettings
from pipeline.models.attention import NORM_EPS, EncoderLayer
from pipeline.models.dropout import Dropout
from pipeline.models.graph_encoder import GraphEncoder

MAX_FRAMES = 512  # the number of learned frame positions, as in UniVL


class VisualEncoder(nn.Module):
    """Turns action graphs into the frame tokens of one direction.

    Args:
        settings: Sizes and choices of the captioner.
        num_heads: Number of attention heads of the transformer.
        node_dim: Width of the node features.
        motion_dim: Width of the motion features.
        max_nodes: Largest number of nodes that a frame can have, for `pool: padded`.

    Raises:
        ValueError: `max_nodes` is missing (less than 1) with `pool: padded`.
    """

    def __init__(
        self, settings: CaptionerModelSettings, num_heads: int, node_dim: int, motion_dim: int, max_nodes: int
    ) -> None:
        super().__init__()
        width = settings.visual_width
        if settings.pool == "padded" and max_nodes < 1:
            raise ValueError("`pool: padded` needs `max_nodes`, the largest number of nodes that a frame can have")
        self.padded_to = max_nodes if settings.pool == "padded" else 0
        self.node_position = None
        if settings.node_position == "learned":
            self.node_position = BoxPosition(settings.graph_width, node_dim)
        self.graph_encoder = GraphEncoder(
            node_dim, settings.graph_width, settings.graph_heads, motion_dim, settings.graph_encoder
        )
        self.frame_norm = nn.LayerNorm(settings.graph_width, eps=NORM_EPS)
        self.frame_in = nn.Linear(settings.graph_width, width)
        self.frame_position = nn.Embedding(MAX_FRAMES, width)
        self.position_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.layers = nn.ModuleList(
            EncoderLayer(width, num_heads, settings.visual_feedforward, settings.dropout)
            for _ in range(settings.visual_layers)
        )
        self.dropout = Dropout(settings.dropout)
        self.out = nn.Linear(width, settings.width)
        for module in [self.frame_in, self.frame_position, *self.layers.modules()]:
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, graphs: Any, frame_slot_F: Tensor, mask_GT: Tensor) -> Tensor:
        """Encode the frames of a batch.

        Args:
            graphs: A batch of action graphs, made by `batch_graphs`.
            frame_slot_F: Place of each frame among those of its graph, `[F]`; from `frame_layout`.
            mask_GT: True where a graph has a frame, `[G, T]`; from `frame_layout`.

        Returns:
            Frame tokens `[G, T, D]`; the values of places without a frame are meaningless.
        """
        if self.node_position is not None:
            graphs = copy.copy(graphs)
            graphs.x = with_position(graphs.x, self.node_position(graphs.node_box))
        empty_D = self.graph_encoder.empty_node() if self.padded_to else None
        nodes_ND = self.graph_encoder(graphs)
        frames_FD = frame_means(nodes_ND, graphs.node_frame, len(graphs.motion), self.padded_to, empty_D)
        frames_GTD = frames_FD.new_zeros(*mask_GT.shape, frames_FD.shape[1])
        frames_GTD[graphs.motion_batch, frame_slot_F] = frames_FD
        x_GTD = self.frame_in(self.frame_norm(frames_GTD)) + self.frame_position.weight[: mask_GT.shape[1]]
        x_GTD = self.dropout(self.position_norm(x_GTD))
        for layer in self.layers:
            x_GTD = layer(x_GTD, mask_GT[:, None, None])
        out: Tensor = self.out(x_GTD)
        return out


def frame_layout(motion_batch_F: Tensor, num_graphs: int) -> tuple[Tensor, Tensor]:
    """Find the place of each frame of a batch in `[G, T]`, where T is the largest number of frames of a graph.

    Args:
        motion_batch_F: The graph of each frame, ascending.
        num_graphs: Number of graphs G.

    Returns:
        The place of each frame within its graph `[F]`, and a mask that is True where there is a frame `[G, T]`. For a
        graph without frames the mask shows one empty token, because attention needs at least one.

    Raises:
        ValueError: A graph has more than `MAX_FRAMES` frames.
    """
    layout = lay_out(motion_batch_F, num_graphs)
    mask_GT = with_first(layout.mask())
    if mask_GT.shape[1] > MAX_FRAMES:
        raise ValueError(f"a graph of {mask_GT.shape[1]} frames: the captioner has positions for {MAX_FRAMES}")
    return layout.slot_R, mask_GT


def frame_means(
    nodes_ND: Tensor, node_frame_N: Tensor, num_frames: int, padded_to: int = 0, empty_D: Tensor | None = None
) -> Tensor:
    """Mean over the nodes of each frame, `[F, D]`; zeros for a frame without nodes.

    Args:
        nodes_ND: Encoded nodes.
        node_frame_N: Frame of each node, in [0, F).
        num_frames: Number of frames F.
        padded_to: Number of nodes that each frame is padded to; a missing node counts as `empty_D`. 0 if each frame
            counts its own nodes alone.
        empty_D: The encoded node of zeros that frames are padded with; None if they are not padded.
    """
    sum_FD = nodes_ND.new_zeros(num_frames, nodes_ND.shape[1]).index_add(0, node_frame_N, nodes_ND)
    count_F = torch.bincount(node_frame_N, minlength=num_frames)
    if empty_D is not None:
        sum_FD = sum_FD + (padded_to - count_F).clamp(min=0)[:, None] * empty_D
        count_F = count_F.clamp(min=padded_to)
    return sum_FD / count_F.clamp(min=1)[:, None]
