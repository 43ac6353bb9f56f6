"""Layer norms over several axes at once, with a gain and an offset for each channel.

Both papers' code normalises over all that belongs to one sample or one frame, and learns one gain and one offset for
each channel. Layer norm of a token alone is another operation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class JointNorm(nn.Module):
    """Normalises over the last axes of a tensor together; the last of all holds the channels.

    Args:
        channels: C, the length of the last axis.
        axes: How many of the last axes share a mean and a variance.
        eps: Added to the variance.
        gain: The gain of each channel at the beginning.
    """

    def __init__(self, channels: int, axes: int, eps: float, gain: float = 1.0) -> None:
        super().__init__()
        self.axes = axes
        self.eps = eps
        self.weight = nn.Parameter(torch.full((channels,), gain))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """New values of the shape of `x`."""
        # torch's own norm is several times as fast as its variances are, and has one gain for each value, not channel.
        normed = F.layer_norm(x, x.shape[-self.axes :], eps=self.eps)
        return torch.addcmul(self._of_channels(self.bias), normed, self._of_channels(self.weight))

    def scaled(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Normalise by a mean and a variance that are known."""
        factor = torch.rsqrt(variance + self.eps) * self._of_channels(self.weight)
        return torch.addcmul(self._of_channels(self.bias) - mean * factor, x, factor)

    def _of_channels(self, numbers: Tensor) -> Tensor:
        """Numbers of the channels, so that they broadcast over what is normalised."""
        return numbers


class MapNorm(JointNorm):
    """The same over a map `[.., C, H, W]`, whose channels come first.

    Args:
        channels: C.
        axes: How many of the axes before height and width share a mean and a variance; 1 for the channels alone.
        eps: Added to the variance.
        gain: The gain of each channel at the beginning.
    """

    def __init__(self, channels: int, axes: int = 1, eps: float = 1e-5, gain: float = 1.0) -> None:
        super().__init__(channels, axes + 2, eps, gain)

    def _of_channels(self, numbers: Tensor) -> Tensor:
        return numbers[:, None, None]
