"""The network of frames that RSTG has for SyncMNIST (Nicolicioiu et al., 2019, section 4.1).

Three times: a convolution of 3 x 3 without padding, ReLU, and the maximum of 2 x 2 places. 64 pixels become 6 places.

Shapes: B clips, T frames, F = B * T, C channels, H height and W width of a map.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.recognition.backbones.places import Used, in_clips, of_frames

KERNEL, POOL = 3, 2


class SimpleConv(nn.Module):
    """Three convolutions of each frame by itself.

    Attributes:
        blocks: Number of blocks of each stage: it has none.
        pools_windows: Whether larger maps than in training are pooled by windows.

    Args:
        filters: Channels of each.
        colours: Channels of a frame.
        norm_maps: Whether the last maps are normalised over the batch. The published network normalises the nodes that
            are pooled from them so; modules that do not, such as DyReg, learn nothing from these maps as they are.
    """

    def __init__(self, filters: int, colours: int, norm_maps: bool) -> None:
        super().__init__()
        self.blocks: tuple[int, ...] = ()
        self.pools_windows = False
        self.conv1 = nn.Conv2d(colours, filters, KERNEL)
        self.conv2 = nn.Conv2d(filters, filters, KERNEL)
        self.conv3 = nn.Conv2d(filters, filters, KERNEL)
        self.norm = nn.BatchNorm2d(filters) if norm_maps else None
        # With the channels last in memory a training step takes half the time on a CPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, x_BTCHW: Tensor, used: Used) -> Tensor:
        """Give the last maps, `[B, T, filters, H', W']`.

        Args:
            x_BTCHW: Frames whose pixels are normalised, of at least 22 pixels along a side.
            used: The modules of the places `conv1`, `conv2`, `conv3` each after its pooling.
        """
        steps = x_BTCHW.shape[1]
        x_FCHW = x_BTCHW.flatten(0, 1)
        for name in ("conv1", "conv2", "conv3"):
            # The maximum comes before ReLU, which sees a quarter of the places then and gives the same.
            x_FCHW = x_FCHW.contiguous(memory_format=torch.channels_last)
            x_FCHW = torch.relu(F.max_pool2d(getattr(self, name)(x_FCHW), POOL))
            if name == "conv3" and self.norm is not None:
                x_FCHW = self.norm(x_FCHW)
            x_FCHW = of_frames(used, name, x_FCHW, steps)
        return in_clips(x_FCHW, steps)
