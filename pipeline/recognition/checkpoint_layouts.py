"""Published checkpoints of convolutional recognizers, by the names of their tensors, brought to our names.

Sources of the names: torchvision; TSM; DyReg-GNN; video-nonlocal-net, which Caffe2 wrote; PySlowFast; pytorchvideo.

The tensors do not tell all of a network. What their layout, their number of classes or the file's own settings say of
geometry, pixels and colours is kept beside them, and compared with the settings by `pipeline.recognition.pretrained`.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.recognition.published import Rename, published_name

FRAMES, VIDEO, TORCHVISION = ("tsm",), ("c2d", "i3d", "nonlocal"), ("torchvision",)
BN_EPS = 1e-5
MODULE = re.compile(r"(layer\d\.\d+)\.(?:.*\.)?((?:dynamic_graph|norm_dict\.residual_norm)\..+)")
SHIFTED = re.compile(r"(layer\d\.\d+)\.conv1\.net\.weight")
INSIDE_CONV = re.compile(r"(layer\d\.\d+\.conv2)\..*weight")
STATISTICS = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}  # of Caffe2's batch norms
TRAINING = re.compile(r".*_momentum|lr|model_iter")
SOMETHING = 174  # classes of Something-Something, whose models PySlowFast trains on BGR
PARTS = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}


class Checkpoint(NamedTuple):
    """A published checkpoint under our names.

    Attributes:
        layout: Whose it is, for messages.
        kinds: Kinds of backbones that can take it.
        backbone: Tensors of the backbone.
        head: `weight` and `bias` of its head; empty if it has none.
        pixels: Form of its pixels; None where the network's name tells it.
        geometries: Geometries that it may have.
        graphs: Tensors of DyReg modules by the blocks that they stand in, under their published names.
        shifts: Blocks whose channels are shifted in time; None if that does not apply.
        channels: `rgb` or `bgr`.
    """

    layout: str
    kinds: tuple[str, ...]
    backbone: dict[str, Tensor]
    head: dict[str, Tensor]
    pixels: str | None = "nonlocal"
    geometries: tuple[str, ...] = ("torchvision",)
    graphs: Mapping[str, dict[str, Tensor]] = {}
    shifts: frozenset[str] | None = None
    channels: str = "rgb"


def of_state(state: Mapping[str, Tensor]) -> Checkpoint | str:
    """Recognize the layout of a state dict, whose wrapping has been taken off.

    Returns:
        The checkpoint; or what the file is instead, for a message.
    """
    if any(name.startswith("base_model.") for name in state):
        return _of_tsm(state)
    if "s1.pathway1_stem.conv.weight" in state:
        return "a SlowFast network of two pathways, which is none of the backbones"
    if "s1.pathway0_stem.conv.weight" in state:
        return _of_slowfast(state)
    if "blocks.0.conv.weight" in state:
        return _of_pytorchvideo(state)
    if "conv1_w" in state:
        return _of_caffe2(state)
    if "conv1.weight" in state and "layer1.0.conv1.weight" in state and state["conv1.weight"].ndim == 4:
        backbone, head = _split(state, ("fc",))
        every_geometry = ("torchvision", *_GEOMETRIES, "slowfast", "pytorchvideo")
        return Checkpoint("torchvision", (*FRAMES, *VIDEO), backbone, head, None, every_geometry)
    if any(name.startswith(("stem.0.", "features.0.", "conv_proj.", "patch_embed.proj.")) for name in state):
        backbone, head = _split(state, ("fc", "classifier.1", "head.1", "head"))
        if head and head["weight"].ndim == 5:  # s3d's head is a convolution of one place
            head["weight"] = head["weight"].flatten(1)
        return Checkpoint("torchvision", TORCHVISION, {f"net.{name}": x for name, x in backbone.items()}, head, None)
    return "of no known layout of recognizers"


_GEOMETRIES = ("rstg", "video_nonlocal_net", "video_nonlocal_net_affine")


def _of_tsm(state: Mapping[str, Tensor]) -> Checkpoint | str:
    """TSM's, with or without DyReg modules inside its blocks."""
    names = {name: name.removeprefix("base_model.") for name in state}
    if any(".nl." in name for name in state):
        return "a TSM network with non-local blocks, which kind tsm has none of"
    graphs: dict[str, dict[str, Tensor]] = {}
    rest: dict[str, Tensor] = {}
    for full, name in names.items():
        if found := MODULE.fullmatch(name):
            graphs.setdefault(found[1], {})[found[2]] = state[full]
        else:
            rest[name] = state[full]
    shifts = frozenset(found[1] for name in rest if (found := SHIFTED.fullmatch(name)))
    bare: dict[str, Tensor] = {}
    for name, tensor in rest.items():
        block = name.rpartition(".conv2.")[0]
        wrapped = INSIDE_CONV.fullmatch(name) if block in graphs else None
        bare[f"{wrapped[1]}.weight" if wrapped else name.replace(".conv1.net.", ".conv1.")] = tensor
    backbone, head = _split(bare, ("new_fc", "fc"))
    whose = "TSM with DyReg modules" if graphs else "TSM"
    return Checkpoint(whose, FRAMES, backbone, head, "imagenet", graphs=graphs, shifts=shifts)


SLOWFAST: tuple[Rename, ...] = (
    (r"s1\.pathway0_stem\.conv\.(.+)", r"conv1.\1"),
    (r"s1\.pathway0_stem\.bn\.(.+)", r"bn1.\1"),
    (r"(s\d)\.pathway0_res(\d+)\.branch2\.a\.(.+)", r"\1.\2.conv1.\3"),
    (r"(s\d)\.pathway0_res(\d+)\.branch2\.b\.(.+)", r"\1.\2.conv2.\3"),
    (r"(s\d)\.pathway0_res(\d+)\.branch2\.c\.(.+)", r"\1.\2.conv3.\3"),
    (r"(s\d)\.pathway0_res(\d+)\.branch2\.a_bn\.(.+)", r"\1.\2.bn1.\3"),
    (r"(s\d)\.pathway0_res(\d+)\.branch2\.b_bn\.(.+)", r"\1.\2.bn2.\3"),
    (r"(s\d)\.pathway0_res(\d+)\.branch2\.c_bn\.(.+)", r"\1.\2.bn3.\3"),
    (r"(s\d)\.pathway0_res(\d+)\.branch1\.(.+)", r"\1.\2.downsample.0.\3"),
    (r"(s\d)\.pathway0_res(\d+)\.branch1_bn\.(.+)", r"\1.\2.downsample.1.\3"),
    (r"(s\d)\.pathway0_nonlocal(\d+)\.conv_(theta|phi|g|out)\.(.+)", r"nonlocals.\1_\2.\3.\4"),
    (r"(s\d)\.pathway0_nonlocal(\d+)\.bn\.(.+)", r"nonlocals.\1_\2.bn.\3"),
)
PYTORCHVIDEO: tuple[Rename, ...] = (
    (r"blocks\.0\.conv\.(.+)", r"conv1.\1"),
    (r"blocks\.0\.norm\.(.+)", r"bn1.\1"),
    (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch1_conv\.(.+)", r"b\1.\2.downsample.0.\3"),
    (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch1_norm\.(.+)", r"b\1.\2.downsample.1.\3"),
    (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch2\.conv_a\.(.+)", r"b\1.\2.conv1.\3"),
    (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch2\.conv_b\.(.+)", r"b\1.\2.conv2.\3"),
    (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch2\.conv_c\.(.+)", r"b\1.\2.conv3.\3"),
    (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch2\.norm_a\.(.+)", r"b\1.\2.bn1.\3"),
    (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch2\.norm_b\.(.+)", r"b\1.\2.bn2.\3"),
    (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch2\.norm_c\.(.+)", r"b\1.\2.bn3.\3"),
)
CAFFE2: tuple[Rename, ...] = (
    (r"conv1_w", r"conv1.weight"),
    (r"res_conv1_bn_(\w+)", r"bn1.\1"),
    (r"res(\d)_(\d+)_branch2a_w", r"s\1.\2.conv1.weight"),
    (r"res(\d)_(\d+)_branch2b_w", r"s\1.\2.conv2.weight"),
    (r"res(\d)_(\d+)_branch2c_w", r"s\1.\2.conv3.weight"),
    (r"res(\d)_(\d+)_branch2a_bn_(\w+)", r"s\1.\2.bn1.\3"),
    (r"res(\d)_(\d+)_branch2b_bn_(\w+)", r"s\1.\2.bn2.\3"),
    (r"res(\d)_(\d+)_branch2c_bn_(\w+)", r"s\1.\2.bn3.\3"),
    (r"res(\d)_(\d+)_branch1_w", r"s\1.\2.downsample.0.weight"),
    (r"res(\d)_(\d+)_branch1_bn_(\w+)", r"s\1.\2.downsample.1.\3"),
    (r"nonlocal_conv(\d)_(\d+)_(theta|phi|g|out)_w", r"nonlocals.s\1_\2.\3.weight"),
    (r"nonlocal_conv(\d)_(\d+)_(theta|phi|g|out)_b", r"nonlocals.s\1_\2.\3.bias"),
    (r"nonlocal_conv(\d)_(\d+)_bn_(\w+)", r"nonlocals.s\1_\2.bn.\3"),
    (r"pred_w", r"head.weight"),
    (r"pred_b", r"head.bias"),
)


def _of_slowfast(state: Mapping[str, Tensor]) -> Checkpoint:
    named = {_in_layers(published_name(name, SLOWFAST), 1): tensor for name, tensor in state.items()}
    backbone, head = _split(named, ("head.projection",))
    channels = "bgr" if head and len(head["weight"]) == SOMETHING else "rgb"
    return Checkpoint("PySlowFast", VIDEO, backbone, head, geometries=("slowfast", "pytorchvideo"), channels=channels)


def _of_pytorchvideo(state: Mapping[str, Tensor]) -> Checkpoint | str:
    if any(name.startswith("blocks.5.proj.") for name in state):
        return "pytorchvideo's Slow network, which is none of the backbones"
    named = {}
    for name, tensor in state.items():
        ours = published_name(name, PYTORCHVIDEO)
        number = int(ours[1]) if re.match(r"b\d\.", ours) else 0  # block 2 is a pool
        named[f"layer{number - 1 if number > 2 else number}{ours[2:]}" if number else ours] = tensor
    backbone, head = _split(named, ("blocks.6.proj",))
    return Checkpoint("pytorchvideo", VIDEO, backbone, head, geometries=("pytorchvideo", "slowfast"))


def _of_caffe2(state: Mapping[str, Tensor]) -> Checkpoint:
    """video-nonlocal-net's, and PySlowFast's `.pkl`; those without statistics are affine."""
    affine = not any(name.endswith("_bn_riv") for name in state)
    named: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if TRAINING.fullmatch(name):
            continue
        start, _, last = _in_layers(published_name(name, CAFFE2), 1).rpartition(".")
        named[f"{start}.{STATISTICS.get(last, last)}" if start else last] = tensor
    if affine:  # a gain and an offset alone are a norm by a mean of 0 and a variance of 1
        for name in [name for name in named if re.search(r"(?:\bbn\d?|downsample\.1)\.weight$", name)]:
            start = name.removesuffix("weight")
            named[name] = named[name] * (1 + BN_EPS) ** 0.5
            named[f"{start}running_mean"] = torch.zeros_like(named[name])
            named[f"{start}running_var"] = torch.ones_like(named[name])
    backbone, head = _split(named, ("head",))
    head = {name: tensor.flatten(1) if name == "weight" else tensor for name, tensor in head.items()}
    geometries = ("video_nonlocal_net_affine",) if affine else ("video_nonlocal_net", "rstg", "slowfast")
    return Checkpoint(
        "video-nonlocal-net" + (" (affine)" if affine else ""), VIDEO, backbone, head, geometries=geometries
    )


def _in_layers(name: str, first: int) -> str:
    """`s2.0.` as `layer1.0.`, and `nonlocals.s3_1.` as `nonlocals.layer2_1.`."""
    return re.sub(r"\bs(\d)(?=[._])", lambda found: f"layer{int(found[1]) - first}", name)


def _split(state: Mapping[str, Tensor], heads: tuple[str, ...]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of a backbone and those of its head, which has one of these names."""
    name = next((name for name in heads if f"{name}.weight" in state), None)
    head = {part: state[f"{name}.{part}"] for part in ("weight", "bias") if f"{name}.{part}" in state}
    return {key: value for key, value in state.items() if name is None or not key.startswith(f"{name}.")}, head
