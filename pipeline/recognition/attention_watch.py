"""Keep the weights of a graph's messages while it computes, which it gives to nobody.

Shapes: B clips, T time steps, N nodes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pipeline.recognition.messages import AdditiveAttention, DotAttention


class Weights:
    """The weights that the heads of an attention gave, round after round.

    Args:
        num_heads: How many give some in each round.
    """

    def __init__(self, num_heads: int) -> None:
        self.num_heads = num_heads
        self.given: list[Tensor] = []

    def keep(self, _module: nn.Module, _nodes: object, weights_FNN: Tensor) -> None:
        """Take what a head gives, as a forward hook."""
        self.given.append(weights_FNN)

    def last(self, clips_and_steps: Sequence[int]) -> Tensor | None:
        """Those of the last round, averaged over the heads, `[B, T, N, N]`; None if there are no messages."""
        if not self.given:
            return None
        last_FNX = torch.stack(self.given[-self.num_heads :]).mean(0)
        last_FNN = last_FNX[..., : last_FNX.shape[1]]  # behind them, those of a node's own other frames
        return last_FNN.view(*clips_and_steps, *last_FNN.shape[1:])


@contextmanager
def watching_attention(graph: nn.Module) -> Iterator[Weights]:
    """Keep the weights of all attentions of a graph while the block runs."""
    attentions = [module for module in graph.modules() if isinstance(module, AdditiveAttention | DotAttention)]
    weights = Weights(len(attentions))
    hooks = [attention.register_forward_hook(weights.keep) for attention in attentions]
    try:
        yield weights
    finally:
        for hook in hooks:
            hook.remove()
