"""SAME padding against TensorFlow's rule, and the pooling against PyTorch's on a padded input."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.models.same_padding import max_pool_same, pad_same, same_padding


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (16, 7, 2, (2, 3)),
        (17, 7, 2, (3, 3)),
        (8, 3, 2, (0, 1)),
        (7, 3, 2, (1, 1)),
        (5, 3, 1, (1, 1)),
        (3, 2, 2, (0, 1)),
    ],
)
def test_same_padding(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected


@pytest.mark.parametrize("size", [(16, 15, 14), (17, 16, 15), (9, 9, 9)])
def test_what_is_left_to_the_operation_completes_the_padding(size):
    x = torch.rand(1, 2, *size)
    padded, left = pad_same(x, (7, 7, 7), (2, 2, 2))
    whole = F.pad(padded, [n for n in reversed(left) for _ in (0, 1)])
    sides = [same_padding(n, 7, 2) for n in size]
    assert torch.equal(whole, F.pad(x, [n for side in reversed(sides) for n in side]))


POOLS = [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1))]


@pytest.mark.parametrize(("kernel", "stride"), [*POOLS, ((5, 1, 4), (3, 2, 1))])
@pytest.mark.parametrize("size", [(4, 6, 9), (3, 7, 8), (2, 1, 5), (1, 2, 1)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
def test_pooling_is_that_of_the_padded_input(kernel, stride, size, memory_format):
    x = torch.randn((2, 3, *size), generator=torch.Generator().manual_seed(1)).relu().to(memory_format=memory_format)
    before = x.clone()
    sides = [same_padding(n, k, s) for n, k, s in zip(size, kernel, stride, strict=True)]
    expected = F.max_pool3d(F.pad(x, [n for side in reversed(sides) for n in side]), kernel, stride)
    found = max_pool_same(x, kernel, stride)
    assert torch.equal(found, expected)
    assert torch.equal(x, before)
