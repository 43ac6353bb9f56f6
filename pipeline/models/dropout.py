"""Dropout (Srivastava et al., 2014) with masks that cost little on a CPU.

PyTorch's dropout takes 9 ns for each value on a CPU, which made a tenth of the captioner's step. Here sixteen bits
decide about a value, and four values share a draw of the same generator. The masks therefore follow from
`torch.manual_seed`, and from the generator's state in a checkpoint, like all else that torch draws.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANCES = 2**16  # a value is dropped in so many of them: the share is exact to 1 / 131,072


class Dropout(nn.Module):
    """Sets a share of the values to zero in training, and scales the others so that the mean stays the same.

    Args:
        share: Share of values that are set to zero, in [0, 1).
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """New values of the shape of `x`; `x` itself in evaluation."""
        return drop(x, self.share) if self.training else x


def drop(x: Tensor, share: float) -> Tensor:
    """Set a share of the values to zero, and scale the others so that the mean stays the same."""
    if share == 0:
        return x
    return F.dropout(x, share) if x.is_cuda else x * keep_factors(x, share)


def keep_factors(x: Tensor, share: float) -> Tensor:
    """Draw 0 for each value that is dropped and one over the share of the others for each that is kept."""
    dropped = round(share * CHANCES)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    chance = draws.view(torch.int16)[: x.numel()].view(x.shape)
    factors = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    torch.ge(chance, dropped - CHANCES // 2, out=factors)
    return factors.mul_(CHANCES / (CHANCES - dropped))
