"""Embedding of the place of a node in the frame: `node_position: learned` of the captioner.

Shapes: N boxes, U different boxes, O octaves, A = 4 O angles of a box, D features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.models.attention import NORM_EPS

OCTAVES = 6  # number of wavelengths, each half the one before: from four sides of the frame to an eighth of a side


class BoxPosition(nn.Module):
    """Embeds boxes as vectors that are as large as normalised features.

    What an object does shows in small differences of its boxes, and a network learns slowly from four plain numbers.
    These are therefore first turned into sines and cosines (Tancik et al. 2020, "Fourier Features Let Networks Learn
    High Frequency Functions in Low Dimensional Domains").

    Args:
        width: Number of channels of the hidden layer.
        out: Number of channels of the embedding.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(8 * OCTAVES, width), nn.GELU(), nn.Linear(width, out), nn.LayerNorm(out, eps=NORM_EPS)
        )

    def forward(self, box_N4: Tensor) -> Tensor:
        """Embed boxes `[N, 4]`, whose coordinates are shares of the frame's sides, as `[N, out]`."""
        # The cells of a grid have the same few boxes in every frame, so each box is embedded once.
        box_U4, row_N = torch.unique(box_N4, dim=0, return_inverse=True)
        turns_O = 2.0 ** torch.arange(OCTAVES, device=box_N4.device) / 4
        angle_UA = (2 * torch.pi * box_U4[:, :, None] * turns_O).flatten(1)
        embedded_UD: Tensor = self.embed(torch.cat([angle_UA.sin(), angle_UA.cos()], dim=1))
        return embedded_UD.index_select(0, row_N)


def with_position(x_ND: Tensor, position_ND: Tensor) -> Tensor:
    """Add positions `[N, D]` to features `[N, D]`, normalised first so that they do not drown the positions."""
    return F.layer_norm(x_ND, x_ND.shape[1:]) + position_ND
