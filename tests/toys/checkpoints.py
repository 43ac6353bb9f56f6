"""Checkpoints in the names of those who published some, made of a backbone's tensors."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]
CAFFE2_NORM = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
PARTS = {
    "conv1": "branch2.a", "bn1": "branch2.a_bn", "conv2": "branch2.b", "bn2": "branch2.b_bn", "conv3": "branch2.c",
    "bn3": "branch2.c_bn", "downsample.0": "branch1", "downsample.1": "branch1_bn",
}  # fmt: skip
BLOCK = re.compile(r"layer(\d)\.(\d+)\.(conv\d|bn\d|downsample\.\d)\.(\w+)")
NONLOCAL = re.compile(r"nonlocals\.layer(\d)_(\d+)\.(\w+)\.(\w+)")


def random_state(backbone: torch.nn.Module) -> State:
    """Tensors of a backbone with other values, without counts of batches."""
    draw = torch.Generator().manual_seed(7)
    state = {name: tensor for name, tensor in backbone.state_dict().items() if "num_batches" not in name}
    return {name: torch.rand(tensor.shape, generator=draw) + 0.5 for name, tensor in state.items()}


def as_tsm(state: State, classes: int, shifted: set[str], graphs: dict[str, State] | None = None) -> State:
    """As TSM's training writes it, with DyReg modules where they are given."""
    named = {}
    for name, tensor in state.items():
        block = ".".join(name.split(".")[:2])
        name = name.replace(".conv1.", ".conv1.net.") if block in shifted else name
        if block in (graphs or {}):
            name = name.replace(".conv2.weight", ".conv2.conv.weight")
        named[f"module.base_model.{name}"] = tensor
    for block, tensors in (graphs or {}).items():
        named |= {f"module.base_model.{block}.conv2.{name}": tensor for name, tensor in tensors.items()}
    width = state["layer4.1.bn2.weight"].numel()
    return named | {"module.new_fc.weight": torch.rand(classes, width), "module.new_fc.bias": torch.rand(classes)}


def as_slowfast(state: State, classes: int) -> State:
    """As PySlowFast names it."""
    named = {"head.projection.weight": torch.rand(classes, state["layer4.0.bn3.weight"].numel()),
             "head.projection.bias": torch.rand(classes)}  # fmt: skip
    for name, tensor in state.items():
        if found := BLOCK.fullmatch(name):
            named[f"s{int(found[1]) + 1}.pathway0_res{found[2]}.{PARTS[found[3]]}.{found[4]}"] = tensor
        elif found := NONLOCAL.fullmatch(name):
            part = found[3] if found[3] == "bn" else f"conv_{found[3]}"
            named[f"s{int(found[1]) + 1}.pathway0_nonlocal{found[2]}.{part}.{found[4]}"] = tensor
        else:
            named[f"s1.pathway0_stem.{name.replace('conv1', 'conv').replace('bn1', 'bn')}"] = tensor
    return named


def as_pytorchvideo(state: State, classes: int) -> State:
    """As pytorchvideo names C2D and I3D, whose pool is block 2."""
    named = {"blocks.6.proj.weight": torch.rand(classes, state["layer4.0.bn3.weight"].numel()),
             "blocks.6.proj.bias": torch.rand(classes)}  # fmt: skip
    for name, tensor in state.items():
        if found := BLOCK.fullmatch(name):
            part = PARTS[found[3]]
            part = part.replace("branch2.", "branch2.conv_") if "bn" not in part else (
                f"branch2.norm_{part[8]}" if part != "branch1_bn" else "branch1_norm"
            )  # fmt: skip
            part = "branch1_conv" if part == "branch1" else part
            number = int(found[1]) + (1 if found[1] != "1" else 0)
            named[f"blocks.{number}.res_blocks.{found[2]}.{part}.{found[4]}"] = tensor
        else:
            named[f"blocks.0.{name.replace('conv1', 'conv').replace('bn1', 'norm')}"] = tensor
    return named


def as_caffe2(state: State, classes: int, affine: bool) -> dict[str, Any]:
    """As Caffe2 names what video-nonlocal-net trains, in NumPy arrays, among what its training needs."""
    named: dict[str, Any] = {"lr": torch.tensor([0.01]), "model_iter": torch.tensor([7.0]),
                             "conv1_w_momentum": torch.zeros(3), "pred_b": torch.rand(classes),
                             "pred_w": torch.rand(classes, state["layer4.0.bn3.weight"].numel())}  # fmt: skip
    for name, tensor in state.items():
        if affine and "running" in name:
            continue
        if found := BLOCK.fullmatch(name):
            part = PARTS[found[3]].replace("branch2.", "branch2")
            last = CAFFE2_NORM[found[4]] if part.endswith("bn") else "w"
            named[f"res{int(found[1]) + 1}_{found[2]}_{part}_{last}"] = tensor
        elif found := NONLOCAL.fullmatch(name):
            last = CAFFE2_NORM[found[4]] if found[3] == "bn" else found[4][0]
            named[f"nonlocal_conv{int(found[1]) + 1}_{found[2]}_{found[3]}_{last}"] = tensor
        else:
            named["conv1_w" if name == "conv1.weight" else f"res_conv1_bn_{CAFFE2_NORM[name.split('.')[1]]}"] = tensor
    return {name: tensor.numpy() for name, tensor in named.items()}


def write_caffe2(path: Path, blobs: dict[str, Any]) -> None:
    """Write a pickle of protocol 2, as Python 2 does, with NumPy's old names of its functions."""
    content = pickle.dumps({"blobs": blobs, "cfg": "text"}, protocol=2)
    path.write_bytes(content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
