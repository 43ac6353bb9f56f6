"""The written-out gradient of the attention between frames, and messages by hand."""

import torch
from torch.testing import assert_close

from pipeline.models.block_attention import BlockAttention


def inputs(dtype=torch.float64):
    """Three frames with two places, two heads of three channels; one target has no edges, one no frame before."""
    generator = torch.Generator().manual_seed(0)
    edge = torch.rand(3, 2, 4, generator=generator) > 0.3
    edge[0, :, 2:] = False
    edge[2, 1] = False
    weight = torch.where(edge, torch.rand(3, 2, 4, generator=generator, dtype=dtype), 0.0)
    weight[..., :2] = 0
    count = edge.sum(2, keepdim=True)
    scale = torch.where(count > 0, 1 / count.clamp(min=1), 0).to(dtype)
    values = [torch.randn(*s, generator=generator, dtype=dtype) for s in ((3, 2, 3, 2, 3), (3, 2, 3), (2, 3))]
    return values, (edge, weight, scale)


def test_the_gradient_is_that_of_finite_differences():
    values, blocks = inputs()
    for value in values:
        value.requires_grad_()
    assert torch.autograd.gradcheck(lambda *values: BlockAttention.apply(*values, *blocks), values)


def test_messages_are_means_over_attended_values_edge_by_edge():
    (query_key_value, motion, first), (edge, weight, scale) = inputs()
    messages = BlockAttention.apply(query_key_value, motion, first, edge, weight, scale).view(3, 2, 2, 3)
    for frame in range(3):
        for target in range(2):
            for head in range(2):
                scores, found = [], []
                for source in range(4):
                    if not edge[frame, target, source]:
                        continue
                    own = source < 2
                    _, key, value = query_key_value[frame if own else frame - 1, source % 2, :, head]
                    extra = motion[frame, head] if own else weight[frame, target, source] * first[head]
                    scores.append(query_key_value[frame, target, 0, head] @ (key + extra) / 3**0.5)
                    found.append(value + extra)
                expected = torch.zeros(3, dtype=torch.float64)
                if found:
                    expected = torch.stack(scores).softmax(0) @ torch.stack(found) / len(found)
                assert_close(messages[frame, target, head], expected)


def test_a_target_without_edges_gets_zeros_and_no_nan():
    values, blocks = inputs(torch.float32)
    for value in values:
        value.requires_grad_()
    messages = BlockAttention.apply(*values, *blocks)
    assert messages[2, 1].eq(0).all()
    messages.square().sum().backward()
    assert all(value.grad.isfinite().all() for value in values)


def test_the_gradient_of_the_factors_of_messages_is_that_of_finite_differences():
    values, (edge, weight, scale) = inputs()
    of_edges = scale * torch.rand(3, 2, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    of_edges.requires_grad_()
    assert torch.autograd.gradcheck(lambda scale: BlockAttention.apply(*values, edge, weight, scale), [of_edges])
    scale.requires_grad_()
    assert torch.autograd.gradcheck(lambda scale: BlockAttention.apply(*values, edge, weight, scale), [scale])
