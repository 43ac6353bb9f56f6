"""Statistics of large maps are precise, and gradients are the true ones."""

import pytest
import torch
from torch import nn

from pipeline.models import batch_norm
from pipeline.models.batch_norm import norm, norm_relu


def filled(channels: int) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels)
    generator = torch.Generator().manual_seed(0)
    layer.weight.data.normal_(generator=generator)
    layer.bias.data.normal_(generator=generator)
    return layer


def last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("with_shortcut", [True, False])
def test_it_is_batch_norm_then_sum_then_relu(with_shortcut, monkeypatch):
    monkeypatch.setattr(batch_norm, "MANY_ROWS", 0)
    generator = torch.Generator().manual_seed(1)
    x, shortcut = (last(torch.randn(3, 4, 5, 6, generator=generator) * 3 + 1) for _ in range(2))
    upstream = last(torch.randn(3, 4, 5, 6, generator=generator))
    found = []
    for way in ("ours", "theirs"):
        layer, own_x, own_shortcut = filled(4), x.clone().requires_grad_(), shortcut.clone().requires_grad_()
        if way == "ours":
            y = norm_relu(layer, norm(layer, own_x), own_shortcut if with_shortcut else None)
        else:
            y = (layer(layer(own_x)) + (own_shortcut if with_shortcut else 0)).relu()
        y.backward(upstream)
        grads = [own_x.grad, layer.weight.grad, layer.bias.grad, *([own_shortcut.grad] if with_shortcut else [])]
        found.append([y.detach(), *grads, layer.running_mean, layer.running_var, layer.num_batches_tracked])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_the_variance_of_many_rows_is_right_in_the_seventh_digit():
    x = last(torch.randn(128, 8, 16, 16, generator=torch.Generator().manual_seed(2)) + 0.5)
    layer = nn.BatchNorm2d(8, momentum=1.0)
    norm(layer, x)
    true = x.double().var((0, 2, 3))
    assert x.numel() // 8 > batch_norm.MANY_ROWS
    torch.testing.assert_close(layer.running_var.double(), true, rtol=3e-7, atol=0)


def test_outside_training_the_running_statistics_count(monkeypatch):
    monkeypatch.setattr(batch_norm, "MANY_ROWS", 0)
    layer = filled(4)
    layer.running_mean.fill_(2.0)
    layer.running_var.fill_(4.0)
    x = last(torch.randn(2, 4, 3, 3))
    torch.testing.assert_close(norm(layer.eval(), x), layer(x))
    assert layer.running_mean.tolist() == [2.0] * 4
