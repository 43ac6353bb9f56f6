"""ResNets over space and time: C2D, I3D and Non-local, in the geometries of their published weights.

Sources: Wang et al., "Non-local Neural Networks", CVPR 2018, and its code (video-nonlocal-net); PySlowFast and
pytorchvideo, which have the same networks with other borders; RSTG (Nicolicioiu et al., 2019), whose last stage keeps
its size. A geometry stands in no tensor, so it is named in the settings.

Shapes: B clips, C channels, T time steps, H height and W width of a map.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.recognition.backbones.nonlocal_block import NonLocal
from pipeline.recognition.backbones.places import INSIDE, Used, of_clips

Kind = Literal["c2d", "i3d", "nonlocal"]

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
WIDTHS = (64, 128, 256, 512)
STEM_STEPS = 5  # frames that the first convolution of an inflated network sees
GROUP = 4  # time steps that attend to each other in the third stage of the affine networks


class Geometry(NamedTuple):
    """What the tensors of a network do not say.

    Attributes:
        padded: Whether the pool after the first convolution has a border: 224 pixels become 56 places, or 55.
        last_stride: Of the last stage.
        grouped: Whether the non-local blocks of `res3` attend inside groups of four time steps.
    """

    padded: bool
    last_stride: int
    grouped: bool


GEOMETRIES = {
    "rstg": Geometry(padded=False, last_stride=1, grouped=False),
    "video_nonlocal_net": Geometry(padded=False, last_stride=2, grouped=False),
    "video_nonlocal_net_affine": Geometry(padded=False, last_stride=2, grouped=True),
    "slowfast": Geometry(padded=True, last_stride=2, grouped=False),
    "pytorchvideo": Geometry(padded=True, last_stride=2, grouped=False),
}


def inflated(stage: int, block: int) -> bool:
    """Whether the first convolution of a block of I3D sees three time steps; stages from 1, blocks from 0."""
    return stage == 1 or (block % 2 == (1 if stage == 4 else 0))


def nonlocal_after(depth: int, stage: int, block: int) -> bool:
    """Whether a non-local block follows a block: every second one of `res3` and `res4`, every seventh of 23."""
    every = 7 if (depth, stage) == (101, 3) else 2
    return stage in (2, 3) and block % every == every - 1


class Block(nn.Module):
    """A bottleneck: a convolution over one place and one or three time steps, one of 3 x 3 places, one of one place.

    Args:
        channels: Channels of the maps that come in.
        width: Channels inside.
        stride: Of the maps, at the convolution of 3 x 3.
        over_time: Whether the first convolution sees three time steps.
    """

    def __init__(self, channels: int, width: int, stride: int, over_time: bool) -> None:
        super().__init__()
        steps = 3 if over_time else 1
        self.conv1 = nn.Conv3d(channels, width, (steps, 1, 1), padding=(steps // 2, 0, 0), bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.conv2 = nn.Conv3d(width, width, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(width)
        self.conv3 = nn.Conv3d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(4 * width)
        self.downsample = (
            None
            if stride == 1 and channels == 4 * width
            else nn.Sequential(
                nn.Conv3d(channels, 4 * width, 1, (1, stride, stride), bias=False), nn.BatchNorm3d(4 * width)
            )
        )

    def forward(self, x_BCTHW: Tensor, used: Used, place: str) -> Tensor:
        """Give the maps of this block; a module inside stands after the convolution of 3 x 3, before its norm."""
        straight = x_BCTHW if self.downsample is None else self.downsample(x_BCTHW)
        y = self.conv2(torch.relu_(self.bn1(self.conv1(x_BCTHW))))
        y = torch.relu_(self.bn2(of_clips(used, place + INSIDE, y)))
        return torch.relu_(self.bn3(self.conv3(y)) + straight)


class VideoResNet(nn.Module):
    """A ResNet of bottlenecks over clips.

    Attributes:
        blocks: Number of blocks of each stage.
        pools_windows: Whether larger maps than in training are pooled by windows: they are.

    Args:
        kind: `c2d`: no convolution sees more than one time step. `i3d`: some see three, the first five. `nonlocal`:
            an `i3d` with non-local blocks.
        depth: 50 or 101.
        geometry: Name of one of `GEOMETRIES`.
        halved: Whether the first convolution and the first pool halve the time steps (32x2); otherwise (8x8, 32x4)
            neither does. The pool after the first stage always does.
    """

    def __init__(self, kind: Kind, depth: int, geometry: str, halved: bool) -> None:
        super().__init__()
        form = GEOMETRIES[geometry]
        self.blocks, self.pools_windows, self.halved = BLOCKS[depth], True, halved
        self.border = 1 if form.padded else 0
        steps = 1 if kind == "c2d" else STEM_STEPS
        stride = 2 if halved else 1
        self.conv1 = nn.Conv3d(3, WIDTHS[0], (steps, 7, 7), (stride, 2, 2), (steps // 2, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(WIDTHS[0])
        self.nonlocals = nn.ModuleDict()
        channels = WIDTHS[0]
        for number, (count, width) in enumerate(zip(self.blocks, WIDTHS, strict=True)):
            stage = number + 1
            first_stride = (1, 2, 2, form.last_stride)[number]
            layer = []
            for block in range(count):
                over_time = kind != "c2d" and inflated(stage, block)
                layer.append(Block(channels, width, 1 if block else first_stride, over_time))
                channels = 4 * width
                if kind == "nonlocal" and nonlocal_after(depth, stage, block):
                    group = GROUP if form.grouped and stage == 2 else None
                    self.nonlocals[f"layer{stage}_{block}"] = NonLocal(channels, group)
            self.add_module(f"layer{stage}", nn.ModuleList(layer))
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x_BTCHW: Tensor, used: Used) -> Tensor:
        """Give the last maps, `[B, T', 2048, H', W']`; T' is T / 2, or T / 8 if the beginning halves the time, too.

        Args:
            x_BTCHW: Frames whose pixels are normalised.
            used: The modules of the places `layerS.B`, after block B (from 0) of stage S (from 1) and after a non-local
                block that follows it; and `layerS.B inside`.
        """
        x = torch.relu_(self.bn1(self.conv1(x_BTCHW.transpose(1, 2))))
        x = F.max_pool3d(
            x, (2 if self.halved else 1, 3, 3), (2 if self.halved else 1, 2, 2), (0, self.border, self.border)
        )
        for number in range(len(self.blocks)):
            for block, module in enumerate(getattr(self, f"layer{number + 1}")):
                place = f"layer{number + 1}.{block}"
                x = module(x, used, place)
                if (name := place.replace(".", "_")) in self.nonlocals:
                    x = self.nonlocals[name](x)
                x = of_clips(used, place, x)
            if number == 0:
                x = F.max_pool3d(x, (2, 1, 1), (2, 1, 1))
        return x.transpose(1, 2)
