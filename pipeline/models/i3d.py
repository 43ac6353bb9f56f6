"""Inception I3D: one feature vector for a short window of video frames.

The network is the RGB stream of J. Carreira and A. Zisserman, "Quo Vadis, Action Recognition? A New Model and the
Kinetics Dataset", CVPR 2017, with the parameter names of pytorch-i3d, so that its published weights
(`rgb_imagenet.pt`) load unchanged.

Shapes: B windows, C channels, T frames or time steps, H height, W width, K classes.
"""

import copy
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.models.folded_convolution import FoldedConv3d
from pipeline.models.same_padding import Triple, max_pool_same, pad_same
from pipeline.weights.loading import described, load_strictly, read_state

FEATURE_DIM = 1024
FIRST_CHANNELS = 64  # of the first layer's output, which has half the frames and half the side of the input
MIN_FRAMES = 9  # fewer leave one time step after the strides, and the average pool needs two

log = logging.getLogger(__name__)

# Output channels of an Inception block's convolutions: 1x1x1; 1x1x1 then 3x3x3; 1x1x1 then 3x3x3; 1x1x1 after the pool.
BLOCKS: dict[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


class Unit3d(nn.Module):
    """A 3D convolution with SAME padding, batch normalisation and ReLU; `logits=True` leaves the last two out."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, logits: bool = False) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(in_channels, out_channels, kernel, stride, bias=logits)
        self.bn = None if logits else nn.BatchNorm3d(out_channels, eps=1e-3, momentum=0.01)
        self.activate = not logits

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Returns [B, out_channels, ceil(T / stride), ceil(H / stride), ceil(W / stride)]."""
        kernel, stride = self.conv3d.kernel_size, self.conv3d.stride
        x_BCTHW, padding = pad_same(x_BCTHW, kernel, stride)
        x_BCTHW = F.conv3d(x_BCTHW, self.conv3d.weight, self.conv3d.bias, stride, padding)
        if self.bn is not None:
            x_BCTHW = self.bn(x_BCTHW)
        return x_BCTHW.relu_() if self.activate else x_BCTHW

    def folded(self) -> FoldedConv3d:
        """The same in evaluation mode, for inference: batch normalisation folded into the convolution."""
        if self.bn is None:
            raise ValueError("the classifier has no batch normalisation to fold")
        fused = fuse_conv_bn_eval(self.conv3d.eval(), self.bn.eval())
        assert fused.bias is not None  # the mean of the normalisation
        return FoldedConv3d(fused.weight, fused.bias, fused.stride)


class MaxPoolSame(nn.Module):
    """Max pooling with SAME padding; as its input is never negative, padding with zeros or with -inf is the same."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Returns [B, C, ceil(T / stride), ceil(H / stride), ceil(W / stride)]."""
        return max_pool_same(x_BCTHW, self.kernel, self.stride)


class InceptionBlock(nn.Module):
    """Four branches that read the same input; their outputs are concatenated along the channels."""

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.b0 = Unit3d(in_channels, channels[0], 1)
        self.b1a = Unit3d(in_channels, channels[1], 1)
        self.b1b = Unit3d(channels[1], channels[2], 3)
        self.b2a = Unit3d(in_channels, channels[3], 1)
        self.b2b = Unit3d(channels[3], channels[4], 3)
        self.b3a = MaxPoolSame((3, 3, 3), (1, 1, 1))
        self.b3b = Unit3d(in_channels, channels[5], 1)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Returns [B, channels[0] + channels[2] + channels[4] + channels[5], T, H, W]."""
        branches = [
            self.b0(x_BCTHW),
            self.b1b(self.b1a(x_BCTHW)),
            self.b2b(self.b2a(x_BCTHW)),
            self.b3b(self.b3a(x_BCTHW)),
        ]
        return torch.cat(branches, dim=1)


class InceptionI3d(nn.Module):
    """The RGB Inception I3D, with pytorch-i3d's parameter names.

    Args:
        num_classes: width of the classifier `logits`; 400 for Kinetics-400, 0 for a network without classifier.
        in_channels: colour channels of the input.
    """

    def __init__(self, num_classes: int = 400, in_channels: int = 3) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit3d(in_channels, FIRST_CHANNELS, 7, stride=2)
        self.MaxPool3d_2a_3x3 = MaxPoolSame((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit3d(FIRST_CHANNELS, 64, 1)
        self.Conv3d_2c_3x3 = Unit3d(64, 192, 3)
        self.MaxPool3d_3a_3x3 = MaxPoolSame((1, 3, 3), (1, 2, 2))
        width = 192
        for name, channels in BLOCKS.items():
            if name == "Mixed_4b":
                self.MaxPool3d_4a_3x3 = MaxPoolSame((3, 3, 3), (2, 2, 2))
            elif name == "Mixed_5b":
                self.MaxPool3d_5a_2x2 = MaxPoolSame((2, 2, 2), (2, 2, 2))
            self.add_module(name, InceptionBlock(width, channels))
            width = channels[0] + channels[2] + channels[4] + channels[5]
        self.dropout = nn.Dropout(0.5)
        self.num_classes = num_classes
        if num_classes:
            self.logits = Unit3d(FEATURE_DIM, num_classes, 1, logits=True)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Class scores before the softmax [B, K, T']; takes the windows that `extract_features` takes.

        A network without classifier has none, and raises AttributeError.
        """
        features_BCT11 = self.dropout(self.extract_features(x_BCTHW)).to(self.logits.conv3d.weight.dtype)
        logits_BKT11: Tensor = self.logits(features_BCT11)
        return logits_BKT11.flatten(2)

    def extract_features(self, x_BCTHW: Tensor) -> Tensor:
        """Compute the pooled output of Mixed_5c, which is never negative.

        At 224 x 224 pixels the average pool is the published (2, 7, 7) one with stride 1; at other sizes it spans the
        whole picture and, as published, two time steps. Sixteen frames give one step.

        Args:
            x_BCTHW: windows of at least 9 frames, in [-1, 1].

        Returns:
            Features [B, 1024, T', 1, 1] with T' = ceil(T / 8) - 1, pooled in float32 if the network is in bfloat16.

        Raises:
            ValueError: fewer than 9 frames.
        """
        x_BCTHW = self.maps(x_BCTHW)
        precise = torch.promote_types(x_BCTHW.dtype, torch.float32)
        x_BCT11 = x_BCTHW.mean((3, 4), keepdim=True, dtype=precise)
        return (x_BCT11[:, :, :-1] + x_BCT11[:, :, 1:]) / 2

    def maps(self, x_BCTHW: Tensor) -> Tensor:
        """Compute the output of Mixed_5c before it is pooled, which is never negative.

        Args:
            x_BCTHW: windows of at least 9 frames, in [-1, 1].

        Returns:
            Maps [B, 1024, ceil(T / 8), ceil(H / 32), ceil(W / 32)].

        Raises:
            ValueError: fewer than 9 frames.
        """
        if x_BCTHW.shape[2] < MIN_FRAMES:
            raise ValueError(f"I3D needs at least {MIN_FRAMES} frames, got a window of {x_BCTHW.shape[2]}")
        for name, layer in self.named_children():
            if name == "dropout":  # here the classifier begins
                break
            x_BCTHW = layer(x_BCTHW)
        return x_BCTHW

    def folded(self) -> "InceptionI3d":
        """A copy for inference: batch normalisation folded into convolutions without gradients; other parameter names.

        Its features are those of evaluation mode but for rounding (see `pipeline.models.folded_convolution`).
        """
        units = [module for module in self.modules() if isinstance(module, Unit3d) and module.bn is not None]
        replaced = [tensor for unit in units for tensor in (*unit.parameters(), *unit.buffers())]
        # What is folded is not copied before, because the network's weights would be in memory twice.
        model = copy.deepcopy(self, {id(tensor): tensor for tensor in replaced}).eval()
        for module in [*model.modules()]:
            for name, unit in module.named_children():
                if isinstance(unit, Unit3d) and unit.bn is not None:
                    setattr(module, name, unit.folded())
        return model


def load_i3d(path: Path, level: int = logging.DEBUG) -> InceptionI3d:
    """Load a pytorch-i3d checkpoint or a `weights.safetensors`, strictly, in float32.

    Args:
        path: A state dict of an RGB network with any number of classes, or without its classifier, which features do
            not need: the network then has none.
        level: Logging level of the table of what was matched.

    Returns:
        The network in eval mode.

    Raises:
        PipelineError: the file cannot be read, or holds another architecture.
    """
    state, metadata = read_state(path, "a pytorch-i3d rgb_imagenet.pt")
    classifier = state.get("logits.conv3d.bias")
    whole = any(key.startswith("logits.") for key in state)
    num_classes = classifier.numel() if classifier is not None else 400 if whole else 0
    with torch.device("meta"):  # the tensors of the file become those of the network
        model = InceptionI3d(num_classes)
    load_strictly(
        model,
        state,
        refusal=f"{described(path, state, metadata)} holds another architecture than the RGB Inception I3D of "
        "pytorch-i3d (rgb_imagenet.pt)",
        advice="; write the path of such a file, or `weights: random`",
        matched=f"{path}: Inception I3D{'' if whole else ' without classifier, which features do not need'}",
        depth=1,
        level=level,
    )
    return model


def randomise(model: InceptionI3d, seed: int) -> None:
    """Draw Kaiming-normal convolutions (He et al., ICCV 2015) from `seed`, in place; `calibrate` has to follow."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            std = math.sqrt(2.0 / (module.in_channels * math.prod(module.kernel_size)))
            with torch.no_grad():
                module.weight.normal_(0.0, std, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()


def normalise(windows_BTHWC: Tensor) -> Tensor:
    """Turn bytes [B, T, H, W, 3] into the network's input [B, 3, T, H, W] in [-1, 1]; in memory, colour stays last."""
    return windows_BTHWC.permute(0, 4, 1, 2, 3) / 127.5 - 1


def calibrate(model: InceptionI3d, windows_BCTHW: Tensor, batch_size: int) -> None:
    """Set BatchNorm's running statistics to those of the given windows, in place, and put the model in eval mode.

    With PyTorch's default statistics (mean 0, variance 1), randomly initialised layers shrink their input layer by
    layer until the features are about 1e-6. After `calibrate` every channel has mean 0 and variance 1 on real windows.
    The statistics are the average over batches, as `momentum=None` of `torch.nn.BatchNorm3d` computes it.

    Args:
        model: the network, which is changed in place.
        windows_BCTHW: windows of real videos, in [-1, 1].
        batch_size: number of windows in one forward pass.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    with torch.no_grad():
        for batch_BCTHW in torch.split(windows_BCTHW, batch_size):
            model.extract_features(batch_BCTHW)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
