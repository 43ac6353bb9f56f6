"""LSTM captioners with random weights, whose maps show what of a map comes from its method and not from learning.

If maps of a captioner stay as they are when its weights are drawn anew, they explain nothing (Adebayo et al., "Sanity
Checks for Saliency Maps", NeurIPS 2018, section 4.1: one layer after another from the last on, and all of them).
"""

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline.captioning.lstm_captioner import LstmCaptioner, draw_weights
from pipeline.scoring.faithfulness import LSTM_LAYERS

# The modules of each layer that `pipeline.scoring.faithfulness` names.
MODULES = {
    "generator": ("generator",),
    "lstm": ("lstm", "attention"),
    "words": ("words",),
    "clip": ("clip", "clip_norm"),
    "projection": ("projection", "map_norm"),
}


def random_twins(model: LstmCaptioner, seed: int) -> list[LstmCaptioner]:
    """Draw the weights of a captioner anew, layer by layer.

    Args:
        model: The captioner.
        seed: Of the weights. Those of a layer do not depend on which others are drawn.

    Returns:
        A captioner for each of `LSTM_LAYERS`, in evaluation mode and on the model's device, whose layers down to this
        one are random; in the last one all are.
    """
    twins = []
    last = copy.deepcopy(model).eval()
    device = next(model.parameters()).device
    for number, layer in enumerate(LSTM_LAYERS):
        last = copy.deepcopy(last).cpu()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed * len(LSTM_LAYERS) + number)
            for name in MODULES[layer]:
                draw(getattr(last, name))
        last = last.to(device)
        twins.append(last)
    return twins


def draw(module: nn.Module | None) -> None:
    """Draw the weights of a module as those of a new captioner are; norms forget what they have seen."""
    if isinstance(module, _BatchNorm):
        module.reset_parameters()
    elif module is not None:
        draw_weights(module)
