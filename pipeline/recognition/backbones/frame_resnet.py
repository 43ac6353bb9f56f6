"""ResNets over frames, whose channels are shifted in time before the first convolution of each block (TSM).

Sources: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, with the strides and the names of
torchvision; Lin, Gan and Han, "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019.

Shapes: B clips, T frames, F = B * T, C channels, H height and W width of a map.
"""

import torch
from torch import Tensor, nn

from pipeline.recognition.backbones.places import INSIDE, Used, in_clips, of_frames

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
WIDTHS = (64, 128, 256, 512)
LONG = 23  # where the third stage has so many blocks, only every second block of each stage shifts


def shifted(x_FCHW: Tensor, steps: int, share: float) -> Tensor:
    """Shift a share of the channels by one frame: the first ones show the next frame, as many the one before.

    Beyond the ends of a clip there are zeros.

    Args:
        x_FCHW: Maps of the frames of clips, one clip after the other.
        steps: T.
        share: Share of the channels that each direction takes; the paper's is 1/8.
    """
    many = int(x_FCHW.shape[1] * share)
    if not many:
        return x_FCHW
    x_BTCHW = in_clips(x_FCHW, steps)
    ends_B1CHW = torch.zeros_like(x_BTCHW[:, :1, :many])
    following = torch.cat([x_BTCHW[:, 1:, :many], ends_B1CHW], 1)
    before = torch.cat([ends_B1CHW, x_BTCHW[:, :-1, many : 2 * many]], 1)
    return torch.cat([following, before, x_BTCHW[:, :, 2 * many :]], 2).flatten(0, 1)


class Block(nn.Module):
    """A residual block: two convolutions of 3 x 3 (`basic`), or one between two of one place (bottleneck).

    Args:
        channels: Channels of the maps that come in.
        width: Channels of the convolution of 3 x 3.
        stride: Of the maps, at the first convolution of 3 x 3.
        basic: Which of the two.
        share: What is shifted before the first convolution.
    """

    def __init__(self, channels: int, width: int, stride: int, basic: bool, share: float) -> None:
        super().__init__()
        self.share = share
        out = width if basic else 4 * width
        self.conv1 = (
            nn.Conv2d(channels, width, 3, stride, 1, bias=False) if basic else nn.Conv2d(channels, width, 1, bias=False)
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1 if basic else stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = None if basic else nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = None if basic else nn.BatchNorm2d(out)
        same = stride == 1 and channels == out
        self.downsample = (
            None if same else nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        )

    def forward(self, x_FCHW: Tensor, steps: int, used: Used, place: str) -> Tensor:
        """Give the maps of this block; a module inside stands after the second convolution, before its norm."""
        straight = x_FCHW if self.downsample is None else self.downsample(x_FCHW)
        y = torch.relu_(self.bn1(self.conv1(shifted(x_FCHW, steps, self.share))))
        y = self.bn2(of_frames(used, place + INSIDE, self.conv2(y), steps))
        if self.conv3 is not None and self.bn3 is not None:
            y = self.bn3(self.conv3(torch.relu_(y)))
        return of_frames(used, place, torch.relu_(y + straight), steps)


class FrameResNet(nn.Module):
    """A ResNet over the frames of clips, with or without shifts in time.

    Attributes:
        blocks: Number of blocks of each stage.
        pools_windows: Whether larger maps than in training are pooled by windows.

    Args:
        depth: 18, 34, 50 or 101.
        stages: Number of stages; DyReg's network for MultiSyncMNIST has three.
        colours: Channels of a frame.
        share: Share of the channels that is shifted in each direction; 0 for frames by themselves.
    """

    def __init__(self, depth: int, stages: int, colours: int, share: float) -> None:
        super().__init__()
        basic = depth < 50
        self.blocks = BLOCKS[depth][:stages]
        self.pools_windows = False
        self.conv1 = nn.Conv2d(colours, WIDTHS[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.pool = nn.MaxPool2d(3, 2, 1)
        every = 2 if max(self.blocks) >= LONG else 1
        channels = WIDTHS[0]
        for number, (count, width) in enumerate(zip(self.blocks, WIDTHS, strict=False)):
            layer = []
            for block in range(count):
                stride = 2 if number and not block else 1
                layer.append(Block(channels, width, stride, basic, 0.0 if block % every else share))
                channels = width if basic else 4 * width
            self.add_module(f"layer{number + 1}", nn.ModuleList(layer))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x_BTCHW: Tensor, used: Used) -> Tensor:
        """Give the last maps, `[B, T, C', H', W']`.

        Args:
            x_BTCHW: Frames whose pixels are normalised.
            used: The modules of the places `layerS.B`, after block B (from 0) of stage S (from 1), and
                `layerS.B inside`.
        """
        steps = x_BTCHW.shape[1]
        x_FCHW = self.pool(torch.relu_(self.bn1(self.conv1(x_BTCHW.flatten(0, 1)))))
        for number in range(len(self.blocks)):
            for block, module in enumerate(getattr(self, f"layer{number + 1}")):
                x_FCHW = module(x_FCHW, steps, used, f"layer{number + 1}.{block}")
        return in_clips(x_FCHW, steps)
