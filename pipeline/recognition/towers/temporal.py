"""The temporal expert of CAST: VideoMAE's encoder, a vision transformer over the tubelets of a clip.

VideoMAE (Tong et al., NeurIPS 2022, "Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video
Pre-Training") cuts a clip into tubelets of some frames and patches, and lets every tubelet attend to all others. Its
parameters have the names that they have in VideoMAE's own files.

Shapes: B clips, F frames, H height, W width, N tokens (time steps, then rows, then columns), D width, M width inside
the feed-forward part.
"""

from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPS = 1e-6
MLP_RATIO = 4
LONGEST_WAVE = 10000.0
Positions = Literal["order", "axes"]


class JointAttention(nn.Module):
    """Self-attention of all tokens of a clip, with biases of queries and values; that of the keys is 0.

    Args:
        width: D.
        heads: Number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Attend: `[B, N, D]` to `[B, N, D]`."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x_BND, self.qkv.weight, bias)
        q, k, v = qkv.reshape(*x_BND.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        out: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """Two linear layers with an exact GELU between them.

    Args:
        width: D; the layer between has four times as many numbers.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Transform each token by itself."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x_BND)))
        return out


class TubeletBlock(nn.Module):
    """A block of the transformer; CAST calls its two halves one by one.

    Args:
        width: D.
        heads: Number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = JointAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = FeedForward(width)

    def attend(self, x_BND: Tensor) -> Tensor:
        """The normed tokens' attention, without the residual."""
        out: Tensor = self.attn(self.norm1(x_BND))
        return out

    def feed(self, x_BND: Tensor) -> Tensor:
        """The normed tokens' feed-forward part, without the residual."""
        out: Tensor = self.mlp(self.norm2(x_BND))
        return out

    def forward(self, x_BND: Tensor) -> Tensor:
        """Attend and feed, each added to what came in."""
        x_BND = x_BND + self.attend(x_BND)
        return x_BND + self.feed(x_BND)


class TubeletEmbedding(nn.Module):
    """A linear map of the pixels of a tubelet, as a convolution whose kernel is its stride.

    Args:
        patch_size: Side of a tubelet in pixels.
        tubelet: Its frames.
        width: D.
    """

    def __init__(self, patch_size: int, tubelet: int, width: int) -> None:
        super().__init__()
        kernel = (tubelet, patch_size, patch_size)
        self.proj = nn.Conv3d(3, width, kernel, stride=kernel)

    def forward(self, x_B3FHW: Tensor) -> Tensor:
        """Tokens `[B, N, D]`, time-major."""
        tokens: Tensor = self.proj(x_B3FHW)
        return tokens.flatten(2).transpose(1, 2)


class TemporalTower(nn.Module):
    """VideoMAE's encoder without its last norm, which belongs to what is trained upon it.

    Args:
        image_size: Side of the frames in pixels.
        patch_size: Side of a tubelet in pixels.
        frames: Frames of a clip F.
        tubelet: Frames of a tubelet.
        width: D.
        heads: Heads of the attention.
        layers: Number of blocks.
        positions: What the fixed table of places tells: the place in the order of all tokens (VideoMAE), or time, row
            and column by themselves; see `axes_table`.

    Attributes:
        width: D.
        depth: Number of blocks.
        grid: Rows and columns of tubelets in a frame.
        steps: Tubelets in time.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        frames: int,
        tubelet: int,
        width: int,
        heads: int,
        layers: int,
        positions: Positions = "order",
    ) -> None:
        super().__init__()
        self.kind_of_positions: Positions = positions
        self.image_size = image_size
        self.patch_size = patch_size
        self.frames = frames
        self.tubelet = tubelet
        self.heads = heads
        self.width = width
        self.depth = layers
        self.grid = (image_size // patch_size, image_size // patch_size)
        self.steps = frames // tubelet
        self.patch_embed = TubeletEmbedding(patch_size, tubelet, width)
        self.blocks = nn.ModuleList(TubeletBlock(width, heads) for _ in range(layers))

    @property
    def num_tokens(self) -> int:
        """Number of tubelets of a clip N."""
        return self.steps * self.grid[0] * self.grid[1]

    def embed(self, x_B3FHW: Tensor) -> Tensor:
        """The tokens of normalised clips, with their places: `[B, N, D]`.

        Raises:
            ValueError: if a clip has another number of frames or another side.
        """
        expected = (3, self.frames, self.image_size, self.image_size)
        if x_B3FHW.shape[1:] != expected:
            raise ValueError(f"clips are {list(x_B3FHW.shape[1:])} and not {list(expected)}")
        tokens_BND: Tensor = self.patch_embed(x_B3FHW)
        return tokens_BND + self.positions(tokens_BND)

    def positions(self, like: Tensor) -> Tensor:
        """The table of places `[N, width]` for tokens of some width, on their device and in their type."""
        width, device, dtype = like.shape[-1], like.device, like.dtype
        if self.kind_of_positions == "order":
            return sine_cosine(self.num_tokens, width, device, dtype)
        return axes_table((self.steps, *self.grid), width, device, dtype)

    def forward(self, x_B3FHW: Tensor) -> Tensor:
        """The tokens after the last block `[B, N, D]`."""
        x_BND = self.embed(x_B3FHW)
        for block in self.blocks:
            x_BND = block(x_BND)
        return x_BND

    def pool(self, tokens_BND: Tensor, norm: nn.Module) -> Tensor:
        """One vector a clip `[B, D]`: the mean of its tokens, normed."""
        vector_BD: Tensor = norm(tokens_BND.mean(1))
        return vector_BD


@cache
def sine_cosine(num: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The fixed table of places: sines on even columns, cosines on odd ones (Vaswani et al. 2017, section 3.5).

    It is no buffer of a network, so that networks on the meta device and files of weights know nothing of it.

    Args:
        num: Number of places N, counted along time, then rows, then columns.
        width: D.
        device: Where the table is wanted.
        dtype: Its type.

    Returns:
        `[N, D]`; a pair of columns `2i`, `2i + 1` has the angle `place / 10000^(2i / D)`.
    """
    with torch.inference_mode(False):
        column_D = torch.arange(width, dtype=torch.float64, device="cpu")
        wave_D = LONGEST_WAVE ** (2 * torch.floor(column_D / 2) / width)
        angle_ND = torch.arange(num, dtype=torch.float64, device="cpu")[:, None] / wave_D
        return torch.where(column_D % 2 == 0, angle_ND.sin(), angle_ND.cos()).to(device, dtype)


@cache
def axes_table(sizes: tuple[int, ...], width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The fixed table of places on a grid: a share of the columns for each axis (He et al. 2022 has it for images).

    With few columns, sines of a place in the order of all tokens hardly tell which tokens are neighbours in a column or
    in time; here the neighbours along each axis are alike.

    Args:
        sizes: Number of places along each axis, the first of which changes slowest.
        width: D; columns that are left over, because they make no pair for each axis, are 0.
        device: Where the table is wanted.
        dtype: Its type.

    Returns:
        `[N, D]`.
    """
    with torch.inference_mode(False):
        share = width // (2 * len(sizes)) * 2
        table = torch.zeros(*sizes, width, device="cpu", dtype=torch.float64)
        for axis, size in enumerate(sizes):
            shape = [1] * len(sizes) + [share]
            shape[axis] = size
            of_axis = sine_cosine(size, share, torch.device("cpu"), torch.float64)
            table[..., axis * share : (axis + 1) * share] = of_axis.view(shape)
        return table.flatten(0, -2).to(device, dtype)
