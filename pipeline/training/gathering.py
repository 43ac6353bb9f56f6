"""Gather the features of all ranks of a training, for losses that compare every item of a batch with every other.

Shapes: O items of a rank, B items of all ranks, D numbers of an item.
"""

from typing import Any

import torch
from torch import Tensor

from pipeline.jobs.rank_group import Ranks


def gather_rows(x_OD: Tensor, own: slice, num_items: int, ranks: Ranks) -> Tensor:
    """Put the rows of all ranks into one matrix `[B, D]`, which every rank gets.

    Gradients pass through: the rank that a row comes from receives the sum of the gradients that all ranks have for the
    row. Ranks may have different numbers of rows.

    Args:
        x_OD: Rows of this rank.
        own: Place of these rows in the matrix; the slices of all ranks together cover it.
        num_items: Number of rows of the matrix B.
        ranks: The ranks that exchange their rows.
    """
    if ranks.num == 1:
        return x_OD
    return _GatheredRows.apply(x_OD, own, num_items, ranks)  # type: ignore[no-any-return]


class _GatheredRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_OD: Tensor, own: slice, num_items: int, ranks: Ranks) -> Tensor:
        ctx.own, ctx.ranks = own, ranks
        x_BD = x_OD.new_zeros(num_items, x_OD.shape[1])
        x_BD[own] = x_OD
        return ranks.sum(x_BD)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.ranks.sum(gradients[0])[ctx.own], None, None, None
