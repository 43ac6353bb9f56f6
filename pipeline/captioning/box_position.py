"""Where a node is, so that a network can use it: `node_position: learned` of the captioner.

Shapes: N boxes, O octaves, A angles, D features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.attention import NORM_EPS

OCTAVES = 6  # of waves over a frame; the shortest is an eighth of its side


class BoxPosition(nn.Module):
    """Embedding of boxes, as large as normalised features.

    A network learns slowly from four plain numbers, and what an object does is told by small differences of its boxes:
    they are first turned into waves (Tancik et al. 2020, "Fourier Features Let Networks Learn High Frequency Functions
    in Low Dimensional Domains").

    Args:
        width: Channels inside.
        out: Channels of the embedding.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(8 * OCTAVES, width), nn.GELU(), nn.Linear(width, out), nn.LayerNorm(out, eps=NORM_EPS)
        )

    def forward(self, box_N4: Tensor) -> Tensor:
        """Embed boxes, shares of the frame `[N, 4]`, as `[N, out]`."""
        turns_O = 2.0 ** torch.arange(OCTAVES, device=box_N4.device) / 4
        angle_NA = (2 * torch.pi * box_N4[:, :, None] * turns_O).flatten(1)
        embedded: Tensor = self.embed(torch.cat([angle_NA.sin(), angle_NA.cos()], dim=1))
        return embedded


def with_position(x_ND: Tensor, position_ND: Tensor) -> Tensor:
    """Features, normalised so that they do not drown the position, plus the position; `[N, D]` both."""
    return F.layer_norm(x_ND, x_ND.shape[1:]) + position_ND
