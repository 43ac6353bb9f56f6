"""Packed and Winograd convolutions against a direct one in float64."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.models import folded_convolution
from pipeline.models.folded_convolution import FoldedConv3d
from pipeline.models.same_padding import same_padding


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def direct(x, weight, bias, stride):
    sides = [same_padding(n, k, s) for n, k, s in zip(x.shape[2:], weight.shape[2:], stride, strict=True)]
    padded = F.pad(x.double(), [n for side in reversed(sides) for n in side])
    return F.conv3d(padded, weight.double(), bias.double(), stride).relu()


def error(found, expected):
    return ((found - expected).abs().max() / expected.max()).item()


CASES = {
    "seven": ((2, 3, 9, 14, 15), (8, 3, 7, 7, 7), (2, 2, 2)),
    "pointwise": ((2, 20, 4, 5, 6), (7, 20, 1, 1, 1), (1, 1, 1)),
    "few channels": ((2, 16, 4, 5, 6), (8, 16, 3, 3, 3), (1, 1, 1)),
    "Winograd, one piece": ((2, 64, 4, 5, 6), (24, 64, 3, 3, 3), (1, 1, 1)),
    "Winograd, three pieces": ((1, 65, 12, 3, 2), (9, 65, 3, 3, 3), (1, 1, 1)),
    "no multiple of four frames": ((2, 64, 6, 5, 4), (24, 64, 3, 3, 3), (1, 1, 1)),
}


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_equals_the_direct_convolution(case, monkeypatch):
    x_shape, weight_shape, stride = CASES[case]
    fan_in = weight_shape[1] * weight_shape[2] ** 3
    weight, bias = draw(*weight_shape, seed=1) / fan_in**0.5, draw(weight_shape[0], seed=2)
    x = draw(*x_shape, seed=3)
    before = x.clone()
    takes_winograd = []
    way = FoldedConv3d._winograd
    monkeypatch.setattr(FoldedConv3d, "_winograd", lambda self, x: takes_winograd.append(1) or way(self, x))
    layer, expected = FoldedConv3d(weight, bias, stride), direct(x, weight, bias, stride)
    assert 0.1 < expected.std() < 10
    for given in (x, x.to(memory_format=torch.channels_last_3d), x):
        found = layer(given)
        assert found.shape == expected.shape
        assert error(found, expected) < 5e-6
    assert len(takes_winograd) == (3 if "Winograd" in case else 0)
    assert torch.equal(x, before)
    # Another size, another type, and back: nothing packed for one of them is used for another.
    other = draw(1, x_shape[1], x_shape[2], *(n + 1 for n in x_shape[3:]), seed=4)
    assert error(layer(other), direct(other, weight, bias, stride)) < 5e-6
    assert error(layer.double()(x.double()), expected) < 1e-12
    assert error(layer.float()(x), expected) < 5e-6


@torch.inference_mode()
def test_bf16_takes_the_direct_way_and_is_near(monkeypatch):
    monkeypatch.setattr(FoldedConv3d, "_winograd", lambda *_: pytest.fail("bf16 would lose its digits"))
    weight, bias, x = draw(24, 64, 3, 3, 3, seed=1) / 42, draw(24, seed=2), draw(2, 64, 4, 5, 6, seed=3)
    found = FoldedConv3d(weight, bias, (1, 1, 1)).to(torch.bfloat16)(x.bfloat16())
    assert found.dtype == torch.bfloat16
    assert error(found, direct(x, weight, bias, (1, 1, 1))) < 2e-2


@torch.inference_mode()
def test_where_onednn_is_not_there_pytorch_computes(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(folded_convolution, "pack", lambda *_: pytest.fail("there is nothing that packs"))
    weight, bias, x = draw(24, 64, 3, 3, 3, seed=1) / 42, draw(24, seed=2), draw(2, 64, 4, 5, 6, seed=3)
    assert error(FoldedConv3d(weight, bias, (1, 1, 1))(x), direct(x, weight, bias, (1, 1, 1))) < 5e-6
