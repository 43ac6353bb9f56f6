"""Optimisers of recognizers: groups of parameters, and learning rates over time."""

import re
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from pipeline.config import RecognizerTrainingSettings
from pipeline.recognition.cast_blocks import Places
from pipeline.training.rates import Rate

# Learning rate and weight decay of the kinds of parameters, as multiples of what the settings say (TSM, DyReg).
TSM_MULTIPLES = {
    "head weight": (5.0, 1.0),
    "head bias": (10.0, 0.0),
    "weight": (1.0, 1.0),
    "bias": (2.0, 0.0),
    "norm": (1.0, 0.0),
}


def make_optimizer(model: nn.Module, heads: nn.Module, settings: RecognizerTrainingSettings) -> Optimizer:
    """Make the optimiser of a model: SGD with plain momentum (TSM, DyReg) or Nesterov's (RSTG), or AdamW (CAST).

    Args:
        model: The model; parameters that need no gradient are left out, so that the optimiser has no state of them.
        heads: The part of it that gives the logits, whose learning rate is another with `multipliers: tsm`.
        settings: Learning rate, momentum, weight decay and multipliers.
    """
    groups = parameter_groups(model, heads, settings)
    if settings.optimizer == "adamw":
        return AdamW(groups, lr=settings.lr, fused=True)
    nesterov = settings.optimizer == "nesterov"
    return SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=nesterov, fused=True)


def parameter_groups(model: nn.Module, heads: nn.Module, settings: RecognizerTrainingSettings) -> list[dict[str, Any]]:
    """The parameters in groups with a learning rate and a weight decay each; see `make_optimizer`."""
    if settings.multipliers == "none":
        everything = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return [{"params": everything, "lr": settings.lr, "weight_decay": settings.weight_decay}]
    if settings.layer_decay is not None:
        return layer_groups(model, settings.layer_decay, settings)
    found: dict[str, list[nn.Parameter]] = {kind: [] for kind in TSM_MULTIPLES}
    for kind, parameter in kinds_of_parameters(model, heads):
        found[kind].append(parameter)
    return [
        {"params": found[kind], "lr": settings.lr * rate, "weight_decay": settings.weight_decay * decay}
        for kind, (rate, decay) in TSM_MULTIPLES.items()
        if found[kind]
    ]


def layer_groups(model: nn.Module, layer_decay: float, settings: RecognizerTrainingSettings) -> list[dict[str, Any]]:
    """The parameters in groups by their distance from the end of the network, and by whether they decay.

    Block b of D, from 0, has the learning rate times `layer_decay` to the power D - b, and what stands after the blocks
    has the rate itself (Bao et al., 2022, "BEiT"; CAST's code). What CAST adds to a block counts as a part of it. The
    embeddings, which would come before the blocks, are frozen. Biases, parameters of one dimension and tables of
    positions do not decay.

    Args:
        model: The model, whose blocks are in lists called `blocks`.
        layer_decay: Factor of the learning rate from one block to the one before it.
        settings: Learning rate and weight decay.

    Returns:
        The groups, the last layers first.
    """
    numbers = [block_of(name) for name, _ in model.named_parameters()]
    depth = max((number + 1 for number in numbers if number is not None), default=0)
    found: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                block = block_of(f"{path}.{name}")
                decays = parameter.ndim > 1 and not isinstance(module, Places)
                found.setdefault((0 if block is None else depth - block, decays), []).append(parameter)
    return [
        {
            "params": found[power, decays],
            "lr": settings.lr * layer_decay**power,
            "weight_decay": settings.weight_decay * decays,
        }
        for power, decays in sorted(found, key=lambda group: (group[0], not group[1]))
    ]


def block_of(name: str) -> int | None:
    """The number, from 0, of the block that a parameter belongs to by its name; None for none."""
    found = re.search(r"(?:^|\.)blocks\.(\d+)\.", name)
    return int(found[1]) if found else None


def kinds_of_parameters(model: nn.Module, heads: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The kind of each parameter, a key of `TSM_MULTIPLES`.

    Biases are those of layers and of recurrent cells. What a module holds under a name of its own, such as a gain of
    offsets, counts as a weight.
    """
    in_heads = set(heads.modules())
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            part = "bias" if name.startswith("bias") and isinstance(module, LAYERS) else "weight"
            yield ("norm" if is_norm(module) else f"head {part}" if module in in_heads else part), parameter


LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase)


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalises: one of PyTorch's norms, or a module whose name ends like one."""
    own = isinstance(module, _BatchNorm | _InstanceNorm | nn.LayerNorm | nn.GroupNorm)
    return own or type(module).__name__.endswith("Norm")


def make_schedule(optimizer: Optimizer, settings: RecognizerTrainingSettings, steps_per_epoch: int) -> LambdaLR:
    """Make the schedule of the learning rate, whose `Rate` a checkpoint holds."""
    num_steps = settings.epochs * steps_per_epoch
    drops = [epoch * steps_per_epoch for epoch in settings.steps] if settings.schedule == "steps" else settings.steps
    warmup = round(settings.warmup * num_steps)
    return LambdaLR(optimizer, Rate(settings.schedule, num_steps, warmup, list(drops), settings.least_lr / settings.lr))
