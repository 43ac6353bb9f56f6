"""The published LSTM captioner written out step by step, with torch's functions alone."""

import torch
from torch import Tensor
from torch.nn import functional as F


def plain_logits(state: dict[str, Tensor], maps_GTHWC: Tensor, tokens_GL: Tensor) -> Tensor:
    """Logits `[G, 1 + L, V]` in training mode: of the step that reads the clip, and of each token.

    Each video has one caption.
    """
    x = torch.einsum("gthwc,pc->gpthw", maps_GTHWC, state["projection.weight"][:, :, 0, 0, 0])
    x = normed(x + state["projection.bias"][None, :, None, None, None], state, "map_norm")
    pooled_GP = x.clamp(min=0).mean((2, 3, 4))
    vector_GE = pooled_GP @ state["clip.weight"].T + state["clip.bias"]
    vector_GE = normed(vector_GE, state, "clip_norm")
    width = state["lstm.weight_hh_l0"].shape[1]
    h = c = torch.zeros(len(maps_GTHWC), width)
    found = []
    for x_GE in [vector_GE, *state["words.weight"][tokens_GL].unbind(1)]:
        gates = x_GE @ state["lstm.weight_ih_l0"].T + state["lstm.bias_ih_l0"]
        gates = gates + h @ state["lstm.weight_hh_l0"].T + state["lstm.bias_hh_l0"]
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        found.append(h @ state["generator.weight"].T + state["generator.bias"])
    return torch.stack(found, 1)


def normed(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """Batch normalisation by the statistics of the batch."""
    axes = (0, *range(2, x.ndim))
    shape = (1, -1, *[1] * (x.ndim - 2))
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * state[f"{name}.weight"].view(shape) + state[f"{name}.bias"].view(
        shape
    )


def plain_loss(logits_GLV: Tensor, targets_GL: Tensor, lengths: list[int]) -> Tensor:
    """Mean cross entropy of all targets: the first `lengths[g]` of each row."""
    losses = [
        F.cross_entropy(logits_GLV[row, :length], targets_GL[row, :length], reduction="sum")
        for row, length in enumerate(lengths)
    ]
    return torch.stack(losses).sum() / sum(lengths)
