"""TorchScript archives with the tensors of a state dict, as OpenAI's release of CLIP is one."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn


class Part(nn.Module):
    """A module of a network; its mask is an attribute, and no part of its state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = torch.zeros(3, 3)

    def forward(self) -> Tensor:
        return self.mask


class Gelu(Part):
    def forward(self) -> Tensor:
        return nn.functional.gelu(self.mask)


def write_torchscript(state: Mapping[str, Tensor], path: Path, part: type[Part] = Part) -> Path:
    """Write an archive whose module has this state dict."""
    root = part()
    for name, tensor in state.items():
        *places, last = name.split(".")
        module: nn.Module = root
        for place in places:
            if place not in dict(module.named_children()):
                module.add_module(place, part())
            module = module.get_submodule(place)
        if tensor.is_floating_point() and tensor.dim():
            module.register_parameter(last, nn.Parameter(tensor))
        else:
            module.register_buffer(last, tensor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(root).save(str(path))
    return path
