"""Multi-head attention, feed-forward sub-layers, encoder layers and sinusoidal positions (Vaswani et al., 2017).

Keys and values are projected apart from the queries, so that keys and values which many queries share are projected
once. All captions or beams of a video share the memory of the video, and all tokens of a growing caption its past.

Shapes: B rows, L queries, M keys, H heads, D width, K width of a head, X packed tokens, Y = B L places for tokens.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.dropout import Dropout, drop

NORM_EPS = 1e-12  # BERT's


class KeysValues(NamedTuple):
    """Projected keys and values, `[B, H, M, K]` each."""

    keys_BHMK: Tensor
    values_BHMK: Tensor

    def take(self, rows: Tensor) -> "KeysValues":
        """The keys and values of some rows, in the order given."""
        return KeysValues(self.keys_BHMK.index_select(0, rows), self.values_BHMK.index_select(0, rows))

    def append(self, new: "KeysValues") -> "KeysValues":
        """The keys and values with those of later tokens behind them."""
        return KeysValues(
            torch.cat([self.keys_BHMK, new.keys_BHMK], 2), torch.cat([self.values_BHMK, new.values_BHMK], 2)
        )


class Packing(NamedTuple):
    """Where the tokens of a padded batch `[B, L]` are that are no padding.

    Layers that work on each token alone are given these tokens alone, `[X, D]`; only attention needs the padded form.

    Attributes:
        place_X: Place of each token in the flattened batch.
        shape: Number of rows B and their length L.
    """

    place_X: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, mask_BL: Tensor) -> "Packing":
        """Pack the tokens where the mask is True."""
        return cls(mask_BL.flatten().nonzero()[:, 0], (mask_BL.shape[0], mask_BL.shape[1]))

    def pack(self, x_BLD: Tensor) -> Tensor:
        """The tokens without padding, `[X, D]`."""
        return x_BLD.flatten(0, 1).index_select(0, self.place_X)

    def pad(self, x_XD: Tensor) -> Tensor:
        """The tokens in their rows, `[B, L, D]`, with zeros for padding."""
        x_YD = x_XD.new_zeros(self.shape[0] * self.shape[1], x_XD.shape[1])
        return x_YD.index_copy(0, self.place_X, x_XD).view(*self.shape, -1)


class Attention(nn.Module):
    """Scaled dot-product attention with several heads."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys_values(self, x_BMD: Tensor, packing: Packing | None = None) -> KeysValues:
        """Project the tokens to attend to, `[B, M, D]` or packed `[X, D]`, to keys and values."""
        projected = self.key_value(x_BMD)
        if packing is not None:
            projected = packing.pad(projected)
        key_value = projected.unflatten(2, (2, self.num_heads, -1))
        keys_BHMK, values_BHMK = key_value.permute(2, 0, 3, 1, 4).unbind(0)
        return KeysValues(keys_BHMK, values_BHMK)

    def forward(
        self,
        x_BLD: Tensor,
        attended: KeysValues,
        mask: Tensor | None = None,
        causal: bool = False,
        packing: Packing | None = None,
    ) -> Tensor:
        """Attend from each query to the keys.

        Args:
            x_BLD: Queries, `[B, L, D]` or packed `[X, D]`.
            attended: Keys and values that `keys_values` returned.
            mask: True where a key may be seen, broadcastable to `[B, H, L, M]`.
            causal: Whether query i sees only the keys up to number i.
            packing: Where packed queries are in their rows; None if they are not packed.

        Returns:
            The attended values, projected, of the shape of `x_BLD`.
        """
        projected = self.query(x_BLD)
        if packing is not None:
            projected = packing.pad(projected)
        query_BHLK = projected.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        is_slow = not x_BLD.is_cuda and (self.dropout > 0 or query_BHLK.dtype != torch.float32)
        if self.training and is_slow:
            found_BHLK = self._attend_in_steps(query_BHLK, attended, mask, causal)
        else:
            dropout = self.dropout if self.training else 0.0
            found_BHLK = F.scaled_dot_product_attention(query_BHLK, *attended, mask, dropout, is_causal=causal)
        found = found_BHLK.transpose(1, 2).flatten(2)
        if packing is not None:
            found = packing.pack(found)
        out: Tensor = self.out(found)
        return out

    def _attend_in_steps(self, query_BHLK: Tensor, attended: KeysValues, mask: Tensor | None, causal: bool) -> Tensor:
        """What `scaled_dot_product_attention` computes, for a CPU, where its training is slow in two cases.

        With dropout its masks cost more. In bf16 its gradient takes eight times as long for a dozen keys.
        """
        score_BHLM = (query_BHLK * query_BHLK.shape[3] ** -0.5) @ attended.keys_BHMK.transpose(2, 3)
        if causal:
            mask = torch.ones(score_BHLM.shape[2:], dtype=torch.bool, device=score_BHLM.device).tril()
        if mask is not None:
            score_BHLM = score_BHLM.masked_fill(~mask, -torch.inf)
        return drop(score_BHLM.softmax(3), self.dropout) @ attended.values_BHMK


class EncoderLayer(nn.Module):
    """A layer of BERT (Devlin et al., 2019): self-attention and feed-forward, normalised after each.

    Args:
        width: Channels of a token.
        num_heads: Number of heads of the self-attention; None for a layer that is feed-forward alone.
        inner: Number of channels of the hidden layer in the feed-forward.
        dropout: Share of values that dropout sets to zero.
    """

    def __init__(self, width: int, num_heads: int | None, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention: Attention | None = None
        if num_heads is not None:
            self.attention = Attention(width, num_heads, dropout)
            self.attention_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.feed_forward = feed_forward(width, inner, 0.0, nn.GELU)
        self.feed_forward_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.dropout = Dropout(dropout)

    def forward(self, x_BMD: Tensor, mask_B11M: Tensor) -> Tensor:
        """New tokens `[B, M, D]`; no token attends to those where the mask is False."""
        if self.attention is not None:
            attended = self.attention(x_BMD, self.attention.keys_values(x_BMD), mask_B11M)
            x_BMD = self.attention_norm(x_BMD + self.dropout(attended))
        out: Tensor = self.feed_forward_norm(x_BMD + self.dropout(self.feed_forward(x_BMD)))
        return out


def feed_forward(width: int, inner: int, dropout: float, activation: type[nn.Module]) -> nn.Sequential:
    """A module of two linear layers with an activation and dropout between them, applied to each position."""
    return nn.Sequential(nn.Linear(width, inner), activation(), Dropout(dropout), nn.Linear(inner, width))


def sinusoidal_positions(num_positions: int, width: int) -> Tensor:
    """Sines and cosines of geometrically falling frequencies, `[num_positions, width]` (section 3.5)."""
    position = torch.arange(num_positions, dtype=torch.float32)[:, None]
    frequency = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10_000.0) / width))
    angle = position * frequency
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :width]
