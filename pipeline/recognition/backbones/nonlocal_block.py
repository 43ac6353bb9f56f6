"""A block in which each place of a clip attends to all others (Wang et al., "Non-local Neural Networks", CVPR 2018).

Shapes: B clips, C channels, T time steps, H height and W width of a map, X places.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class NonLocal(nn.Module):
    """Embedded-Gaussian attention over space and time, added to what came in; the identity where it begins.

    Args:
        channels: C. Queries, keys and values have half of them.
        group: Number of time steps that attend to each other, which divides T where T is larger; None for all.
    """

    def __init__(self, channels: int, group: int | None = None) -> None:
        super().__init__()
        inner = channels // 2
        self.group = group
        self.theta = nn.Conv3d(channels, inner, 1)
        self.phi = nn.Conv3d(channels, inner, 1)
        self.g = nn.Conv3d(channels, inner, 1)
        self.out = nn.Conv3d(inner, channels, 1)
        self.bn = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.bn.weight)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Give maps of the shape of `x_BCTHW`."""
        clips, _, steps = x_BCTHW.shape[:3]
        grouped = self.group is not None and steps > self.group
        x = _in_groups(x_BCTHW, self.group) if grouped and self.group is not None else x_BCTHW
        halved = F.max_pool3d(x, (1, 2, 2), (1, 2, 2))
        query, key, value = self.theta(x), self.phi(halved), self.g(halved)
        attended_BXC = F.scaled_dot_product_attention(
            *(part.flatten(2).transpose(1, 2) for part in (query, key, value))
        )
        y = self.bn(self.out(attended_BXC.transpose(1, 2).reshape(query.shape)))
        return x_BCTHW + (_out_of_groups(y, clips) if grouped else y)


def _in_groups(x_BCTHW: Tensor, group: int) -> Tensor:
    """Runs of time steps as clips of their own."""
    clips, channels, steps = x_BCTHW.shape[:3]
    grouped = x_BCTHW.view(clips, channels, steps // group, group, *x_BCTHW.shape[3:])
    return grouped.transpose(1, 2).flatten(0, 1)


def _out_of_groups(x: Tensor, clips: int) -> Tensor:
    return x.view(clips, -1, *x.shape[1:]).transpose(1, 2).flatten(2, 3)
