"""What DyReg looks at a frame with: networks that give each node a state, from which its region is predicted.

Source: Duta et al., 2021, section 3.1 and its supplement.

Shapes: B clips, T time steps, N nodes, D channels, O width of a state, H height and W width of a map.
"""

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.recognition.norms import MapNorm

KERNEL = 3
WIDE, NARROW = 32, 16  # channels of the big generator
FREQUENCY = 10_000.0  # base of the frequencies of a position


class BigGenerator(nn.Module):
    """Convolutions down, up and down again with a skip, then a fully connected layer for each node.

    Args:
        channels: D.
        height: H, at least 4.
        width: W; the strides are those of the height.
        num_nodes: N.
        state_dim: O.

    Raises:
        PipelineError: for maps of less than 4 or more than 50 places along a side.
    """

    def __init__(self, channels: int, height: int, width: int, num_nodes: int, state_dim: int) -> None:
        super().__init__()
        if not 4 <= min(height, width) <= max(height, width) <= 50:
            raise PipelineError(
                f"a map of {height} x {width} is not for the big generator of regions, which takes 4 to 50 places along"
                " a side: place the module elsewhere, or write generator: lite"
            )
        self.num_nodes, self.state_dim = num_nodes, state_dim
        stride = 1 if height <= 10 else 2
        # A large map is halved twice, a smaller one keeps its size after the first convolution.
        again, padding = (2, 0) if height > 20 else (1, 1)
        sizes = [(size - KERNEL) // stride + 1 for size in (height, width)]
        small = [(size - KERNEL + 2 * padding) // again + 1 for size in sizes]
        # Where halving left a row over, the way up makes it again, so that both maps can be added.
        grown = [(size - 1) * again - 2 * padding + KERNEL for size in small]
        left_over = (sizes[0] - grown[0], sizes[1] - grown[1])
        self.reduce = nn.Conv2d(channels, WIDE, 1)
        self.reduce_norm = MapNorm(WIDE)
        self.down = nn.ModuleList(
            [nn.Conv2d(WIDE, WIDE, KERNEL, stride), nn.Conv2d(WIDE, NARROW, KERNEL, again, padding)]
        )
        self.down_norm = nn.ModuleList([MapNorm(WIDE), MapNorm(NARROW)])
        self.up = nn.ConvTranspose2d(NARROW, WIDE, KERNEL, again, padding, left_over)
        self.up_norm = MapNorm(WIDE)
        self.last = nn.Conv2d(WIDE, NARROW, KERNEL, again, padding)
        self.last_norm = MapNorm(NARROW)
        self.nodes = nn.Conv2d(NARROW, num_nodes * state_dim, (small[0], small[1]))

    def forward(self, x_BTDHW: Tensor) -> Tensor:
        """Give the states, `[B, T, N, O]`."""
        states_FX = self.nodes(self._map(x_BTDHW.flatten(0, 1)))
        return states_FX.reshape(*x_BTDHW.shape[:2], self.num_nodes, self.state_dim)  # type: ignore[no-any-return]

    def _map(self, x: Tensor) -> Tensor:
        x = self.reduce_norm(torch.relu(self.reduce(x)))
        skipped = self.down_norm[0](torch.relu(self.down[0](x)))
        x = self.down_norm[1](torch.relu(self.down[1](skipped)))
        x = self.up_norm(torch.relu(self.up(x))) + skipped
        return self.last_norm(torch.relu(self.last(x)))  # type: ignore[no-any-return]


class LiteGenerator(nn.Module):
    """A mask for each node, and the sum of the map under it.

    Args:
        channels: D, a multiple of 4.
        height: H.
        width: W.
        num_nodes: N.
        state_dim: O.

    Raises:
        PipelineError: if the channels cannot be shared by sines and cosines of rows and columns.
    """

    code: Tensor

    def __init__(self, channels: int, height: int, width: int, num_nodes: int, state_dim: int) -> None:
        super().__init__()
        if channels % 4:
            raise PipelineError(f"generator: lite takes a node_dim that is a multiple of 4, not {channels}")
        self.mask = nn.Conv2d(channels, num_nodes, 1)
        self.position = nn.Conv2d(channels, channels, 1)
        self.states = nn.Linear(channels, state_dim)
        self.register_buffer("code", sinusoids(channels, height, width), persistent=False)

    def forward(self, x_BTDHW: Tensor) -> Tensor:
        """Give the states, `[B, T, N, O]`."""
        x_FDHW = x_BTDHW.flatten(0, 1)
        masks_FNX = torch.softmax(self.mask(x_FDHW), 1).flatten(2)  # the nodes share each place
        placed_FDX = (x_FDHW + self.position(self.code.to(x_FDHW.dtype)[None])).flatten(2)
        states_FNO = self.states(masks_FNX @ placed_FDX.transpose(1, 2))
        return states_FNO.unflatten(0, x_BTDHW.shape[:2])  # type: ignore[no-any-return]


def sinusoids(channels: int, height: int, width: int) -> Tensor:
    """Code of each place, `[D, H, W]`: half of the channels tell the row, half the column, each by sines, then cosines.

    Rows and columns go from 0 to 1; frequencies are 10000^(k / (D / 2)).
    """
    steps = torch.arange(channels // 4, dtype=torch.float32) * 2 / (channels // 2)
    frequency_K = FREQUENCY**steps
    halves = []
    for axis, size in enumerate((height, width)):
        angles_KS = frequency_K[:, None] * torch.linspace(0, 1, size)
        lines = torch.cat([angles_KS.sin(), angles_KS.cos()])
        halves.append(lines[:, :, None].expand(-1, -1, width) if axis == 0 else lines[:, None].expand(-1, height, -1))
    return torch.cat(halves)
