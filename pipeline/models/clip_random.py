"""Random numbers of each clip by itself, drawn from a number that the clip has, on whichever device.

What is left out of a clip, by dropout (Srivastava et al., 2014) or by drop path (Huang et al., 2016), then follows from
the clip's number alone: neither from the other clips of its batch, nor from the process that computes it, nor from what
was drawn before. PyTorch's generators draw for a whole tensor at once, and so differently where a batch is divided.

Draw i of a clip is the i-th output of SplitMix64 (Steele, Lea and Flood, 2014) that starts at the clip's number. It is
computed for all at once, as the state of that generator is a product of i.

Shapes: B clips, N draws of a clip.
"""

import math

import torch
from torch import Tensor

# SplitMix64's constants, as signed numbers of 64 bits.
STEP = 0x9E3779B97F4A7C15 - 2**64
FACTORS = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))
LAST_SHIFT = 31
BITS = 24  # a float32 holds so many


def chances(seeds_B: Tensor, *shape: int) -> Tensor:
    """Draw numbers in [0, 1) of each clip, float32 `[B, *shape]`.

    The same seed gives the same numbers in every call, the first ones of a longer draw among them. What needs several
    independent draws of a clip makes one call for all.

    Args:
        seeds_B: The number of each clip, int64.
        shape: Shape of what is drawn of a clip.
    """
    places_N = torch.arange(1, math.prod(shape) + 1, device=seeds_B.device)
    z_BN = _mixed(_mixed(seeds_B)[:, None] + places_N * STEP)
    drawn: Tensor = _shifted(z_BN, 64 - BITS).float() / 2**BITS
    return drawn.view(len(seeds_B), *shape)


def drop(x: Tensor, share: float, seeds_B: Tensor) -> Tensor:
    """Set a share of each clip's values to zero, and scale the others so that their mean stays the same.

    Args:
        x: Values `[B, ...]`.
        share: Share of the values that are left out, in [0, 1).
        seeds_B: The number of each clip, int64.
    """
    if share == 0:
        return x
    kept = chances(seeds_B, *x.shape[1:]) >= share
    return x * kept / (1 - share)


def _mixed(z: Tensor) -> Tensor:
    """SplitMix64's output for a state; products wrap around at 64 bits."""
    for shift, factor in FACTORS:
        z = (z ^ _shifted(z, shift)) * factor
    return z ^ _shifted(z, LAST_SHIFT)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """Shift to the right, filled with zeros; that of signed numbers repeats the sign."""
    shifted: Tensor = (z >> bits) & (2 ** (64 - bits) - 1)
    return shifted
