"""The video networks of torchvision, by their names, without their heads: baselines for others.

Sources: Tran et al., CVPR 2018 (`r3d_18`, `mc3_18`, `r2plus1d_18`); Xie et al., ECCV 2018 (`s3d`); Li et al., CVPR 2022
(`mvit_v2_s`); Liu et al., CVPR 2022 (`swin3d_t`).

Shapes: B clips, C channels, T time steps, H height and W width of a map.
"""

import torch
import torchvision
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.recognition.backbones.places import INSIDE, Used, of_clips

RESNETS = ("r3d_18", "mc3_18", "r2plus1d_18")
# Form of the pixels that the published weights take, and the head, which is left out.
PIXELS = {"s3d": "kinetics", "mvit_v2_s": "nonlocal", "swin3d_t": "imagenet", **dict.fromkeys(RESNETS, "kinetics")}
HEADS = {"s3d": "classifier", "mvit_v2_s": "head", "swin3d_t": "head", **dict.fromkeys(RESNETS, "fc")}
MVIT_SHAPE = (16, 224, 224)
BLOCKS = (2, 2, 2, 2)


class TorchvisionVideo(nn.Module):
    """A network of torchvision up to its last maps.

    Attributes:
        blocks: Number of blocks of each stage; none where it has no such stages.
        pools_windows: Whether larger maps than in training are pooled by windows: they are not.

    Args:
        arch: Its name.
    """

    def __init__(self, arch: str) -> None:
        super().__init__()
        self.arch, self.pools_windows = arch, False
        self.blocks = BLOCKS if arch in RESNETS else ()
        self.net = getattr(torchvision.models.video, arch)(weights=None)
        setattr(self.net, HEADS[arch], nn.Identity())

    def forward(self, x_BTCHW: Tensor, used: Used) -> Tensor:
        """Give the last maps, `[B, T', C', H', W']`, or the class token of `mvit_v2_s` as a map of one place.

        Args:
            x_BTCHW: Frames whose pixels are normalised.
            used: The modules of the places `layerS.B` and `layerS.B inside` of the networks of 18 layers; the others
                have none.

        Raises:
            PipelineError: if the clips are not as large as the positions of `mvit_v2_s` are laid out for.
        """
        if self.arch == "mvit_v2_s" and tuple(x_BTCHW.shape[i] for i in (1, 3, 4)) != MVIT_SHAPE:
            raise PipelineError(
                f"backbone: arch: mvit_v2_s takes 16 frames of 224 pixels, not {list(x_BTCHW.shape[1:])}"
            )
        x = x_BTCHW.transpose(1, 2)
        if self.arch in RESNETS:
            return self._resnet(x, used).transpose(1, 2)
        if self.arch == "s3d":
            return self.net.features(x).transpose(1, 2)  # type: ignore[no-any-return]
        if self.arch == "swin3d_t":
            maps_BTHWC = self.net.norm(self.net.features(self.net.pos_drop(self.net.patch_embed(x))))
            return maps_BTHWC.movedim(-1, 2)  # type: ignore[no-any-return]
        return self.net(x)[:, None, :, None, None]  # type: ignore[no-any-return]

    def _resnet(self, x_BCTHW: Tensor, used: Used) -> Tensor:
        x_BCTHW = self.net.stem(x_BCTHW)
        for stage in range(1, len(BLOCKS) + 1):
            for number, block in enumerate(self.net.get_submodule(f"layer{stage}")):
                place = f"layer{stage}.{number}"
                straight = x_BCTHW if block.downsample is None else block.downsample(x_BCTHW)
                convolution, norm = block.conv2
                y = norm(of_clips(used, place + INSIDE, convolution(block.conv1(x_BCTHW))))
                x_BCTHW = of_clips(used, place, torch.relu(y + straight))
        return x_BCTHW
