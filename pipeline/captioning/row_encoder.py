"""Encode rows of knowledge and of objects, which the left-to-right decoder sees besides the frames.

The branches are AKG-sv's (VCModel): normalisation, a linear layer, post-norm encoder layers. The layers of the
knowledge branch are of one of three kinds: self-attention among the rows, self-attention with positions along the rows,
or feed-forward alone. Object rows always have self-attention, without positions.

A video has any number of rows, possibly none. Only the number of rows says which are there: a row whose features are
zero is a row like any other (the published code takes a leading zero for padding). Rows join the frames in one of two
ways:

- `concatenate` puts the rows behind the frames. The decoder attends to both, each under its own mask.
- `sum` has the published meaning: row k is added to frame k, although the two have nothing to do with each other, and
  the mask of the frames is the only one. If a video has more rows than frames, evenly spread rows are taken. A frame
  without a row stays as it is (in the published code, appended zero rows pass through the branch, and what its biases
  make of them is added).

Shapes: G graphs, R rows of all graphs, S rows of a graph, K features of a row, D width, T frames of a graph.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.captioning.box_position import BoxPosition, with_position
from pipeline.config import CaptionerModelSettings
from pipeline.models.attention import NORM_EPS, EncoderLayer, sinusoidal_positions


class Layout(NamedTuple):
    """Places of the flat rows of a batch in an array `[G, S, ...]` that has a line for every graph.

    Attributes:
        slot_R: Place of each row within its graph, from 0.
        count_G: Number of rows of each graph.
    """

    slot_R: Tensor
    count_G: Tensor

    def mask(self) -> Tensor:
        """Mask `[G, S]`, True where a graph has a row; S is the largest number of rows of a graph, at least 1."""
        num_slots = max(1, int(self.count_G.max()))
        return torch.arange(num_slots, device=self.count_G.device) < self.count_G[:, None]


def lay_out(batch_R: Tensor, num_graphs: int) -> Layout:
    """Number the rows of each graph; the rows of a graph stand together.

    Args:
        batch_R: The graph of each row, ascending.
        num_graphs: Number of graphs G.
    """
    count_G = torch.bincount(batch_R, minlength=num_graphs)
    first_G = count_G.cumsum(0) - count_G
    return Layout(torch.arange(len(batch_R), device=batch_R.device) - first_G[batch_R], count_G)


def with_first(mask_GS: Tensor) -> Tensor:
    """The mask with True in the first place of every graph, because attention needs at least one key to look at."""
    return mask_GS | (torch.arange(mask_GS.shape[1], device=mask_GS.device) == 0)


class RowEncoder(nn.Module):
    """Turns rows of one kind, knowledge or objects, into rows of the decoder's memory.

    Args:
        row_dim: Number of features of a row K.
        settings: Sizes of the captioner. Width, heads and feed-forward are those of the decoders; the number of layers
            is `knowledge_layers`.
        attention: Kind of the layers: `mha` for self-attention, `mha_position` for self-attention with positions along
            the rows, `ffn` for feed-forward alone.
        has_boxes: Whether the first four features of a row are a box. With `node_position: learned` the embedding of
            the box is added to the other features, as for the nodes of a graph; otherwise the box counts as four more
            features, as published.
    """

    def __init__(
        self,
        row_dim: int,
        settings: CaptionerModelSettings,
        attention: Literal["mha", "mha_position", "ffn"],
        has_boxes: bool = False,
    ) -> None:
        super().__init__()
        self.has_positions = attention == "mha_position"
        self.box_position = None
        if has_boxes and settings.node_position == "learned":
            row_dim -= 4
            self.box_position = BoxPosition(settings.width, row_dim)
        self.norm = nn.LayerNorm(row_dim, eps=NORM_EPS)
        self.row_in = nn.Linear(row_dim, settings.width)
        num_heads = None if attention == "ffn" else settings.decoder_heads
        self.layers = nn.ModuleList(
            EncoderLayer(settings.width, num_heads, settings.decoder_feedforward, settings.dropout)
            for _ in range(settings.knowledge_layers)
        )

    def forward(self, rows_RK: Tensor, batch_R: Tensor, num_graphs: int) -> tuple[Tensor, Tensor]:
        """Encode the rows of a batch.

        Args:
            rows_RK: Rows of all graphs.
            batch_R: The graph of each row, ascending.
            num_graphs: Number of graphs G.

        Returns:
            Memory rows `[G, S, D]`, and a mask that is True where a graph has a row `[G, S]`. S is at least 1 even if
            no video of the batch has a row: with several processes every weight must take part in every step.
        """
        layout = lay_out(batch_R, num_graphs)
        mask_GS = layout.mask()
        if self.box_position is not None:
            rows_RK = with_position(rows_RK[:, 4:], self.box_position(rows_RK[:, :4]))
        rows_RD = self.row_in(self.norm(rows_RK))
        x_GSD = rows_RD.new_zeros(*mask_GS.shape, rows_RD.shape[1])
        x_GSD[batch_R, layout.slot_R] = rows_RD
        if self.has_positions:
            x_GSD = x_GSD + sinusoidal_positions(x_GSD.shape[1], x_GSD.shape[2]).to(x_GSD)
        attended_G11S = with_first(mask_GS)[:, None, None]
        for layer in self.layers:
            x_GSD = layer(x_GSD, attended_G11S)
        return x_GSD, mask_GS


def add_rows(frames_GTD: Tensor, rows_GSD: Tensor, mask_GS: Tensor) -> Tensor:
    """Add row k of each graph to its frame k; S is at most T. Returns new frames `[G, T, D]`."""
    added_GSD = torch.where(mask_GS[:, :, None], rows_GSD, 0).to(frames_GTD.dtype)
    return torch.cat([frames_GTD[:, : added_GSD.shape[1]] + added_GSD, frames_GTD[:, added_GSD.shape[1] :]], 1)


def fit_rows(batch_R: Tensor, num_frames_G: Tensor) -> Tensor:
    """Choose the rows to keep so that no graph has more rows than frames.

    Args:
        batch_R: The graph of each row, ascending.
        num_frames_G: Number of frames of each graph.

    Returns:
        Indices of the kept rows among all R, ascending. A graph with no more rows than frames keeps all of them. Any
        other graph keeps as many as it has frames, evenly spread from the first row to the last.
    """
    count_G = torch.bincount(batch_R, minlength=len(num_frames_G))
    first_G = count_G.cumsum(0) - count_G
    kept_G = torch.minimum(count_G, num_frames_G)
    graph_X = torch.repeat_interleave(kept_G)
    number_X = lay_out(graph_X, len(kept_G)).slot_R
    # In a graph that keeps all its rows, this is `number_X` itself.
    spread_X = number_X * (count_G - 1)[graph_X] // (kept_G - 1).clamp(min=1)[graph_X]
    return first_G[graph_X] + spread_X
