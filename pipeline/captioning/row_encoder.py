"""What the left-to-right decoder sees besides the frames: rows of knowledge and of objects.

The branches of AKG-sv (VCModel): normalisation, a linear layer, post-norm encoder layers. Knowledge has three kinds:
self-attention among the rows, the same with positions along them, or feed-forward alone; objects always attend.

A video has any number of rows, none included, and nothing but the lengths says which are there: a row whose features
are zero is a row like any other (the published code takes a leading zero for padding). `concatenate` puts the rows
behind the frames as more to attend to, under a mask of their own. `sum` has the published meaning: row k is added to
frame k, although nothing ties the two together, so that the mask of the frames is the mask of the rows. Rows are fitted
to the frames of their video: of more rows than frames, evenly spread ones are taken; a frame without a row is left as
it is (there: appended zero rows pass through the branch, and what its biases make of them is added).

Shapes: G graphs, R rows of all graphs, S rows of a graph, K features of a row, D width, T frames of a graph.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.captioning.box_position import BoxPosition, with_position
from pipeline.config import CaptionerModelSettings
from pipeline.models.attention import NORM_EPS, EncoderLayer, sinusoidal_positions


class Layout(NamedTuple):
    """Where the flat rows of a batch stand when every graph has a line of its own.

    Attributes:
        slot_R: Place of each row within its graph.
        count_G: Rows of each graph.
    """

    slot_R: Tensor
    count_G: Tensor

    def mask(self) -> Tensor:
        """True where a graph has a row, `[G, S]`, S being the largest number of rows and never 0."""
        num_slots = max(1, int(self.count_G.max()))
        return torch.arange(num_slots, device=self.count_G.device) < self.count_G[:, None]


def lay_out(batch_R: Tensor, num_graphs: int) -> Layout:
    """Count the rows of each graph; the rows of a graph stand together.

    Args:
        batch_R: The graph of each row, ascending.
        num_graphs: G.
    """
    count_G = torch.bincount(batch_R, minlength=num_graphs)
    first_G = count_G.cumsum(0) - count_G
    return Layout(torch.arange(len(batch_R), device=batch_R.device) - first_G[batch_R], count_G)


def with_first(mask_GS: Tensor) -> Tensor:
    """The mask with the first place of every graph shown, there or not, so that attention has something to sum."""
    return mask_GS | (torch.arange(mask_GS.shape[1], device=mask_GS.device) == 0)


class RowEncoder(nn.Module):
    """Rows of one kind to memory rows.

    Args:
        row_dim: K.
        settings: Width, heads and feed-forward are the decoders', the number of layers is `knowledge_layers`.
        attention: What a layer is: `mha`, `mha_position` or `ffn`.
        has_boxes: Whether the first four features are a box. With `node_position: learned` its embedding is then added
            to the other features, as for the nodes of a graph; otherwise it is four more features, as published.
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
        """Memory rows.

        Args:
            rows_RK: Rows of all graphs.
            batch_R: The graph of each, ascending.
            num_graphs: G.

        Returns:
            `[G, S, D]`, and True where a graph has a row `[G, S]`. S is at least 1: the weights take part in every
            step, as several processes expect of each other, even if no video of a batch has a row.
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
    """Frames `[G, T, D]` with row k of each graph added to its frame k; S is at most T."""
    added_GSD = torch.where(mask_GS[:, :, None], rows_GSD, 0).to(frames_GTD.dtype)
    return torch.cat([frames_GTD[:, : added_GSD.shape[1]] + added_GSD, frames_GTD[:, added_GSD.shape[1] :]], 1)


def fit_rows(batch_R: Tensor, num_frames_G: Tensor) -> Tensor:
    """Which rows are kept so that no graph has more rows than frames.

    Args:
        batch_R: The graph of each row, ascending.
        num_frames_G: Frames of each graph.

    Returns:
        Numbers of the rows, ascending: all those of a graph with few, and of one with more as many as it has frames,
        evenly spread from the first to the last.
    """
    count_G = torch.bincount(batch_R, minlength=len(num_frames_G))
    first_G = count_G.cumsum(0) - count_G
    kept_G = torch.minimum(count_G, num_frames_G)
    graph_X = torch.repeat_interleave(kept_G)
    number_X = lay_out(graph_X, len(kept_G)).slot_R
    # With as many as there are, this is the number itself.
    spread_X = number_X * (count_G - 1)[graph_X] // (kept_G - 1).clamp(min=1)[graph_X]
    return first_G[graph_X] + spread_X
