"""Features of all ranks of a training, for losses that compare each item of a batch with every other one.

Shapes: O items of a rank, B items of all ranks, D numbers of an item.
"""

from typing import Any

import torch
from torch import Tensor

from pipeline.jobs.rank_group import Ranks


def gather_rows(x_OD: Tensor, own: slice, num_items: int, ranks: Ranks) -> Tensor:
    """Put the rows of all ranks into one matrix, `[B, D]`, alike on each of them.

    Gradients pass: what the losses of all ranks have to say about a row is summed up on the rank that it is from. Ranks
    may have different numbers of rows.

    Args:
        x_OD: Rows of this rank.
        own: Where they are in the matrix; the slices of the ranks make up all of it.
        num_items: B.
        ranks: Who has the others.
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
