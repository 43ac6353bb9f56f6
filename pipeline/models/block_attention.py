"""Attention of the nodes of each frame to those of their own frame and of the frame before, with its own gradient.

This is the inner part of `pipeline.models.graph_encoder`. The products of a frame are so small that what is done around
them costs as much. The gradient is therefore written out, and the products with the projected weight of an edge between
frames are one more row of the keys and values.

Shapes: F frames, K places for nodes in a frame, S = 2 K places for sources (own frame, frame before), T = S + 1 rows of
keys and values, H heads, C channels of a head, W = H C width.
"""

import math
from typing import Any

import torch
from torch import Tensor


class BlockAttention(torch.autograd.Function):
    """Messages `[F, K, W]` to the nodes of each frame.

    A source in the target's own frame has the key and value of its node plus the motion of the frame. A source in the
    frame before has those of its node plus the weight of the edge times `first`.

    Arguments of `apply`:
        query_key_value: Projected nodes: queries, keys and values, `[F, K, 3, H, C]`.
        motion: Projected motion of each frame, `[F, H, C]`.
        first: Projection of an edge of weight 1 between frames, `[H, C]`.
        edge: Whether there is an edge from a source to a target, `[F, K, S]`.
        weight: Weight of an edge between frames; 0 elsewhere, `[F, K, S]`.
        scale: Factor of the messages to a target; 0 for a target without edges, `[F, K, 1]`; or of the message of each
            edge, `[F, K, S]`.
    """

    @staticmethod
    def forward(
        ctx: Any, query_key_value: Tensor, motion: Tensor, first: Tensor, edge: Tensor, weight: Tensor, scale: Tensor
    ) -> Tensor:
        """Messages to the nodes; the arguments are described above."""
        num_sources = 2 * query_key_value.shape[1]
        query_FHKC, key_value_2FHTC = _laid_out(query_key_value, motion, first)
        weight_F1KS = weight.unsqueeze(1)

        score_FHKT = query_FHKC @ key_value_2FHTC[0].transpose(2, 3)
        score_FHKS = torch.addcmul(_wide(score_FHKT[..., :num_sources]), score_FHKT[..., num_sources:], weight_F1KS)
        # -inf would give NaN for a target without edges; with this number, its scale of 0 makes its message 0.
        score_FHKS.masked_fill_(~edge.unsqueeze(1), torch.finfo(score_FHKS.dtype).min)
        alpha_FHKS = score_FHKS.softmax(dim=3)
        part_FHKT = torch.empty_like(score_FHKT)
        part_FHKT[..., :num_sources] = scaled_FHKS = alpha_FHKS * scale.unsqueeze(1)
        part_FHKT[..., num_sources] = (scaled_FHKS * weight_F1KS).sum(3)
        message_FHKC = part_FHKT @ key_value_2FHTC[1]
        # The queries, keys and values are laid out again: kept, they are as large as all else that a layer keeps.
        ctx.save_for_backward(query_key_value, motion, first, alpha_FHKS, part_FHKT, weight, scale)
        return message_FHKC.transpose(1, 2).flatten(2)

    @staticmethod
    def backward(ctx: Any, grad_message_FKW: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the first three arguments and, where it is asked for, of `scale`; the others have none."""
        query_key_value, motion, first, alpha_FHKS, part_FHKT, weight, scale = ctx.saved_tensors
        query_FHKC, key_value_2FHTC = _laid_out(query_key_value, motion, first)
        num_frames, num_heads, size, width = query_FHKC.shape
        num_sources = 2 * size
        weight_F1KS = weight.unsqueeze(1)
        grad_message_FHKC = grad_message_FKW.reshape(num_frames, size, num_heads, width).transpose(1, 2).contiguous()
        grad_key_value_2FHTC = torch.empty_like(key_value_2FHTC)
        torch.matmul(part_FHKT.transpose(2, 3), grad_message_FHKC, out=grad_key_value_2FHTC[1])
        grad_part_FHKT = grad_message_FHKC @ key_value_2FHTC[1].transpose(2, 3)

        grad_alpha_FHKS = torch.addcmul(
            _wide(grad_part_FHKT[..., :num_sources]), grad_part_FHKT[..., num_sources:], weight_F1KS
        )
        grad_scale = None
        if ctx.needs_input_grad[5]:
            grad_scale = (grad_alpha_FHKS * alpha_FHKS).sum(1).sum_to_size(scale.shape)
        grad_alpha_FHKS.mul_(scale.unsqueeze(1))
        grad_score_FHKS = torch._softmax_backward_data(grad_alpha_FHKS, alpha_FHKS, 3, alpha_FHKS.dtype)
        grad_score_FHKT = torch.empty_like(part_FHKT)
        grad_score_FHKT[..., :num_sources] = grad_score_FHKS
        grad_score_FHKT[..., num_sources] = grad_score_FHKS.mul_(weight_F1KS).sum(3)
        torch.matmul(grad_score_FHKT.transpose(2, 3), query_FHKC, out=grad_key_value_2FHTC[0])
        grad_query_FHKC = grad_score_FHKT @ key_value_2FHTC[0]

        own_2FHKC, before_2FHKC = grad_key_value_2FHTC[..., :num_sources, :].chunk(2, dim=3)
        grad = query_FHKC.new_empty(num_frames, size, 3, num_heads, width)
        grad_3FHKC = grad.permute(2, 0, 3, 1, 4)
        torch.mul(grad_query_FHKC, 1 / math.sqrt(width), out=grad_3FHKC[0])
        torch.add(own_2FHKC[:, :-1], before_2FHKC[:, 1:], out=grad_3FHKC[1:, :-1])
        torch.add(own_2FHKC[:, -1:], before_2FHKC[:, :1], out=grad_3FHKC[1:, -1:])
        grad_motion_FHC = own_2FHKC.sum(3).sum(0)  # a single sum over both takes ten times as long
        grad_first_HC = grad_key_value_2FHTC[..., num_sources, :].sum((0, 1))
        return grad, grad_motion_FHC, grad_first_HC, None, None, grad_scale


def _laid_out(query_key_value: Tensor, motion: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """The scaled queries `[F, H, K, C]`, and the keys and values of all sources `[2, F, H, T, C]`."""
    num_frames, size, _, num_heads, width = query_key_value.shape
    num_sources = 2 * size
    mixed_3FHKC = query_key_value.permute(2, 0, 3, 1, 4)
    query_FHKC = (mixed_3FHKC[0] * (1 / math.sqrt(width))).contiguous()
    key_value_2FHTC = query_key_value.new_empty(2, num_frames, num_heads, num_sources + 1, width)
    torch.add(mixed_3FHKC[1:], motion.unsqueeze(2), out=key_value_2FHTC[..., :size, :])
    # The frame before the first one of a graph is of another graph, or the graph's last; no edge comes from there.
    key_value_2FHTC[:, 1:, :, size:num_sources] = mixed_3FHKC[1:, :-1]
    key_value_2FHTC[:, :1, :, size:num_sources] = mixed_3FHKC[1:, -1:]
    key_value_2FHTC[..., num_sources, :] = first
    return query_FHKC, key_value_2FHTC


def _wide(x: Tensor) -> Tensor:
    """The values in float32 at least, in which softmax is computed."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
