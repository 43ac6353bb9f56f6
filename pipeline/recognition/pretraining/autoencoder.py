"""VideoMAE's autoencoder: the temporal expert sees the tubelets that are not hidden, and a decoder tells the others.

The decoder is narrower and shallower than the encoder, has places of its own, and is not kept (Tong et al., NeurIPS
2022, section 3.3).

Shapes: B clips, F frames, H height, W width, N tokens, K visible tokens, M hidden tokens, D width, E width of the
decoder, V numbers of a tubelet.
"""

import torch
from torch import Tensor, nn

from pipeline.config import DecoderArch
from pipeline.recognition.pretraining.masks import TubeletSize, take
from pipeline.recognition.towers.temporal import NORM_EPS, TemporalTower, TubeletBlock
from pipeline.recognition.towers.temporal_weights import draw_layer

MASK_DEVIATION = 0.02


class MaskedAutoencoder(nn.Module):
    """An encoder and the decoder that it is pre-trained with.

    Args:
        tower: The encoder, with the weights that it begins with.
        decoder: Sizes of the decoder, which is drawn.
    """

    def __init__(self, tower: TemporalTower, decoder: DecoderArch) -> None:
        super().__init__()
        self.tower = tower
        self.norm = nn.LayerNorm(tower.width, eps=NORM_EPS)
        self.to_decoder = nn.Linear(tower.width, decoder.width, bias=False)
        self.mask_token = nn.Parameter(torch.empty(decoder.width))
        self.decoder_blocks = nn.ModuleList(TubeletBlock(decoder.width, decoder.heads) for _ in range(decoder.layers))
        self.decoder_norm = nn.LayerNorm(decoder.width, eps=NORM_EPS)
        self.head = nn.Linear(decoder.width, 3 * tower.tubelet * tower.patch_size**2)
        for part in (self.to_decoder, self.decoder_blocks, self.head):
            part.apply(draw_layer)
        nn.init.trunc_normal_(self.mask_token, std=MASK_DEVIATION, a=-MASK_DEVIATION, b=MASK_DEVIATION)

    @property
    def tubelet_size(self) -> TubeletSize:
        """Size of a tubelet."""
        return TubeletSize(self.tower.tubelet, self.tower.patch_size)

    def forward(self, x_B3FHW: Tensor, visible_BK: Tensor, hidden_BM: Tensor) -> Tensor:
        """Tell the numbers of the hidden tubelets, `[B, M, V]`; nothing of them is seen.

        Args:
            x_B3FHW: Normalised clips.
            visible_BK: Numbers of the visible tokens.
            hidden_BM: Numbers of the hidden ones.
        """
        x_BKD = take(self.tower.embed(x_B3FHW), visible_BK)
        for block in self.tower.blocks:
            x_BKD = block(x_BKD)
        seen_BKE = self.to_decoder(self.norm(x_BKD))
        places_NE = self.tower.positions(seen_BKE)
        asked_BME = self.mask_token.to(seen_BKE.dtype) + places_NE[hidden_BM]
        x_BNE = torch.cat([seen_BKE + places_NE[visible_BK], asked_BME], 1)
        for block in self.decoder_blocks:
            x_BNE = block(x_BNE)
        told_BMV: Tensor = self.head(self.decoder_norm(x_BNE[:, -hidden_BM.shape[1] :]))
        return told_BMV
