"""The captioner as it was computed before its training step was made faster, as a peer for `training_step`.

It is the same function of the same weights. Graphs are factorised and shared by the captions of a video here, too.
What differs: autograd takes the gradient of the attention between nodes, a projection of the nodes is a product of its
own, every node's box is embedded, padding is computed like words, and dropout and attention are PyTorch's own.

Shapes: as in `pipeline.captioning.captioner`, `pipeline.models.attention` and `pipeline.models.graph_encoder`.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.captioning.box_position import OCTAVES, BoxPosition
from pipeline.captioning.captioner import Captioner
from pipeline.models.action_graph import ActionGraph
from pipeline.models.attention import Attention, KeysValues, Packing
from pipeline.models.dropout import Dropout
from pipeline.models.graph_encoder import Blocks, FactorisedTransformerConv


class PaddedCaptioner(Captioner):
    """A captioner that computes padding like words."""

    def forward(
        self, graphs: Any, left_to_right_CL: Tensor, right_to_left_CM: Tensor, seen_CM: Tensor, caption_graph_C: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits of the next token, left to right `[C, L, V]` and right to left `[C, M, V]`."""
        memory = self.encode(graphs)
        backward, forward = self.decoder_right_to_left, self.decoder_left_to_right
        frames = backward.context(0, memory.right_to_left_GTD, memory.right_to_left_mask_GT)
        backward_CMD, _ = backward(self.embed(right_to_left_CM), [[c.take(caption_graph_C) for c in frames]])
        frames = forward.context(0, memory.left_to_right_GMD, memory.left_to_right_mask_GM)
        states = forward.context(1, backward_CMD, seen_CM)
        contexts = [[c.take(caption_graph_C) for c in frames], states]
        forward_CLD, _ = forward(self.embed(left_to_right_CL), contexts)
        return self.generator(forward_CLD), self.generator(backward_CMD)


class CaptionerBefore(PaddedCaptioner):
    """The captioner with the layers of then; its arguments and its state dict are those of `Captioner`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        of_then = {
            Attention: AttentionBefore,
            BoxPosition: BoxPositionBefore,
            Dropout: DropoutBefore,
            FactorisedTransformerConv: ConvBefore,
        }
        for module in self.modules():
            module.__class__ = of_then.get(type(module), type(module))  # weights and settings stay


class DropoutBefore(Dropout):
    """Dropout by PyTorch's masks."""

    def forward(self, x: Tensor) -> Tensor:
        """New values of the shape of `x`."""
        return F.dropout(x, self.share, self.training)


class BoxPositionBefore(BoxPosition):
    """Embeds every box, equal ones too."""

    def forward(self, box_N4: Tensor) -> Tensor:
        """Embed boxes `[N, 4]` as `[N, out]`."""
        turns_O = 2.0 ** torch.arange(OCTAVES) / 4
        angle_NA = (2 * torch.pi * box_N4[:, :, None] * turns_O).flatten(1)
        embedded_ND: Tensor = self.embed(torch.cat([angle_NA.sin(), angle_NA.cos()], dim=1))
        return embedded_ND


class AttentionBefore(Attention):
    """Attention by PyTorch's function alone."""

    def forward(
        self,
        x_BLD: Tensor,
        attended: KeysValues,
        mask: Tensor | None = None,
        causal: bool = False,
        packing: Packing | None = None,
    ) -> Tensor:
        """Attend from each query to the keys; nothing is packed."""
        assert packing is None
        query_BHLK = self.query(x_BLD).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        dropout = self.dropout if self.training else 0.0
        found_BHLK = F.scaled_dot_product_attention(query_BHLK, *attended, mask, dropout, is_causal=causal)
        out: Tensor = self.out(found_BHLK.transpose(1, 2).flatten(2))
        return out


class ConvBefore(FactorisedTransformerConv):
    """The convolution on blocks of edges that carry the motion of frames, with its gradient by autograd."""

    def forward(self, x_XW: Tensor, graph: ActionGraph, blocks: Blocks | None) -> Tensor:
        """Pass messages once, over blocks of edges that carry the motion of their frame."""
        assert blocks is not None
        motion_FW = self.lin_edge(graph.motion)
        query_FHKC = self._blocked(self.lin_query(x_XW), blocks)
        key_FHSC = self._sources(self.lin_key(x_XW), motion_FW, blocks)
        value_FHSC = self._sources(self.lin_value(x_XW), motion_FW, blocks)
        first_HC1 = self.lin_edge.weight[:, 0].view(self.num_heads, -1, 1)
        weight_F1KS = blocks.weight.unsqueeze(1)
        score_FHKS = query_FHKC @ key_FHSC.transpose(2, 3) + (query_FHKC @ first_HC1) * weight_F1KS
        score_FHKS = score_FHKS / math.sqrt(query_FHKC.size(3))
        score_FHKS = score_FHKS.masked_fill(~blocks.edge.unsqueeze(1), torch.finfo(score_FHKS.dtype).min)
        alpha_FHKS = score_FHKS.softmax(dim=3)
        between_FHK1 = (alpha_FHKS * weight_F1KS).sum(3, keepdim=True)
        message_FHKC = alpha_FHKS @ value_FHSC + between_FHK1 * first_HC1.transpose(1, 2)
        message_XW = (message_FHKC * blocks.scale.unsqueeze(1)).transpose(1, 2).reshape_as(x_XW)
        skip_XW: Tensor = self.lin_skip(x_XW)
        of_message_1W, of_skip_1W, of_difference_1W = self.lin_beta.weight.chunk(3, dim=1)
        gate_X1 = F.linear(message_XW, of_message_1W + of_difference_1W)
        gate_X1 = torch.sigmoid(gate_X1 + F.linear(skip_XW, of_skip_1W - of_difference_1W))
        return message_XW + gate_X1 * (skip_XW - message_XW)

    def _sources(self, x_XW: Tensor, motion_FW: Tensor, blocks: Blocks) -> Tensor:
        x_FHKC = self._blocked(x_XW, blocks)
        own_FHKC = x_FHKC + motion_FW.view(len(motion_FW), self.num_heads, 1, -1)
        return torch.cat([own_FHKC, x_FHKC.roll(1, dims=0)], dim=2)
