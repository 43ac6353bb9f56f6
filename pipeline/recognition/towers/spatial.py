"""The spatial expert of CAST: CLIP's image tower, a vision transformer over the patches of each frame.

CLIP (Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", section 2.4) puts a
class token before the patches. Its parameters have CLIP's names, but for `blocks` and `in_proj.`; its last norm and its
projection are not here: the norm belongs to what is trained upon the tower, and nothing needs the projection.

Shapes: B clips, T frames of a clip, F frames, H height, W width, L tokens of a frame (the class token, then rows, then
columns), D width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPS = 1e-5
MLP_RATIO = 4
SLOPE = 1.702  # of the sigmoid in QuickGELU
ACTIVATIONS = ("quick_gelu", "gelu")


def attend(q_BND: Tensor, k_BMD: Tensor, v_BMD: Tensor, heads: int) -> Tensor:
    """Attention with several heads, whose numbers lie one after the other: `[B, N, D]`, scaled by head width ** -0.5.

    Args:
        q_BND: Queries.
        k_BMD: Keys.
        v_BMD: Values.
        heads: Number of heads.
    """
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (q_BND, k_BMD, v_BMD))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class FrameAttention(nn.Module):
    """Self-attention of the tokens of a frame.

    Args:
        width: D.
        heads: Number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x_FLD: Tensor) -> Tensor:
        """Attend: `[F, L, D]` to `[F, L, D]`."""
        q, k, v = self.in_proj(x_FLD).chunk(3, -1)
        out: Tensor = self.out_proj(attend(q, k, v, self.heads))
        return out


class FeedForward(nn.Module):
    """Two linear layers with an activation between them.

    Args:
        width: D; the layer between has four times as many numbers.
        activation: `quick_gelu` (OpenAI's weights) or `gelu`.
    """

    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.c_fc = nn.Linear(width, MLP_RATIO * width)
        self.c_proj = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x_FLD: Tensor) -> Tensor:
        """Transform each token by itself."""
        x = self.c_fc(x_FLD)
        x = x * torch.sigmoid(SLOPE * x) if self.activation == "quick_gelu" else F.gelu(x)
        out: Tensor = self.c_proj(x)
        return out


class FrameBlock(nn.Module):
    """A block of the transformer; CAST calls its two halves one by one.

    Args:
        width: D.
        heads: Number of heads.
        activation: As in `FeedForward`.
    """

    def __init__(self, width: int, heads: int, activation: str) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = FrameAttention(width, heads)
        self.ln_2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = FeedForward(width, activation)

    def attend(self, x_FLD: Tensor) -> Tensor:
        """The normed tokens' attention, without the residual."""
        out: Tensor = self.attn(self.ln_1(x_FLD))
        return out

    def feed(self, x_FLD: Tensor) -> Tensor:
        """The normed tokens' feed-forward part, without the residual."""
        out: Tensor = self.mlp(self.ln_2(x_FLD))
        return out

    def forward(self, x_FLD: Tensor) -> Tensor:
        """Attend and feed, each added to what came in."""
        x_FLD = x_FLD + self.attend(x_FLD)
        return x_FLD + self.feed(x_FLD)


class SpatialTower(nn.Module):
    """CLIP's image tower without its last norm and its projection.

    Args:
        image_size: Side of the frames in pixels.
        patch_size: Side of a patch in pixels.
        width: D.
        heads: Heads of the attention.
        layers: Number of blocks.
        activation: `quick_gelu` or `gelu`; see `pipeline.models.clip_activation`.

    Attributes:
        depth: Number of blocks.
        grid: Rows and columns of patches in a frame.
    """

    def __init__(
        self, image_size: int, patch_size: int, width: int, heads: int, layers: int, activation: str = "quick_gelu"
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}, expected one of {', '.join(ACTIVATIONS)}")
        self.image_size = image_size
        self.patch_size = patch_size
        self.width = width
        self.heads = heads
        self.depth = layers
        self.activation = activation
        self.grid = (image_size // patch_size, image_size // patch_size)
        self.conv1 = nn.Conv2d(3, width, patch_size, stride=patch_size, bias=False)
        self.class_embedding = nn.Parameter(width**-0.5 * torch.randn(width))
        self.positional_embedding = nn.Parameter(width**-0.5 * torch.randn(1 + self.grid[0] * self.grid[1], width))
        self.ln_pre = nn.LayerNorm(width, eps=NORM_EPS)
        self.blocks = nn.ModuleList(FrameBlock(width, heads, activation) for _ in range(layers))

    def embed(self, x_F3HW: Tensor) -> Tensor:
        """The tokens of normalised frames, with their places, normed: `[F, L, D]`.

        Raises:
            ValueError: if the frames have another side.
        """
        expected = (3, self.image_size, self.image_size)
        if x_F3HW.shape[1:] != expected:
            raise ValueError(f"frames are {list(x_F3HW.shape[1:])} and not {list(expected)}")
        patches_FPD = self.conv1(x_F3HW).flatten(2).transpose(1, 2)
        class_F1D = self.class_embedding.to(patches_FPD.dtype).expand(len(patches_FPD), 1, -1)
        tokens: Tensor = self.ln_pre(torch.cat([class_F1D, patches_FPD], 1) + self.positional_embedding)
        return tokens

    def forward(self, x_F3HW: Tensor) -> Tensor:
        """The tokens after the last block `[F, L, D]`."""
        x_FLD = self.embed(x_F3HW)
        for block in self.blocks:
            x_FLD = block(x_FLD)
        return x_FLD

    def pool(self, tokens_BTLD: Tensor, norm: nn.Module) -> Tensor:
        """One vector a clip `[B, D]`: the mean of the class tokens of its frames, normed."""
        vector_BD: Tensor = norm(tokens_BTLD[:, :, 0].mean(1))
        return vector_BD
