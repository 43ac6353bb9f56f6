import pytest
import torch
from torch.testing import assert_close

from pipeline.models.clip_random import _mixed, chances, drop

SEEDS = torch.tensor([3, -5, 2**62 + 1, 0])


def split_mix(state):
    """The output of SplitMix64 with Python's own numbers."""
    z = state & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
    return z ^ (z >> 31)


def test_it_is_split_mix():
    """The first number of SplitMix64 from seed 0 is published with its reference."""
    assert split_mix(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF
    assert [value % 2**64 for value in _mixed(SEEDS).tolist()] == [split_mix(seed) for seed in SEEDS.tolist()]
    first = split_mix(split_mix(3) + 0x9E3779B97F4A7C15)
    assert chances(SEEDS, 1)[0, 0].item() == (first >> 40) / 2**24


def test_a_clip_has_its_own_numbers_whatever_is_beside_it():
    together = chances(SEEDS, 5, 3)
    assert torch.equal(torch.cat([chances(SEEDS[3:], 5, 3), chances(SEEDS[:3], 5, 3)]), together[[3, 0, 1, 2]])
    assert torch.equal(chances(SEEDS, 4), together.flatten(1)[:, :4])
    assert len(together.unique()) == together.numel()


@pytest.mark.parametrize("first", [0, 10**12])
def test_the_numbers_are_spread_evenly_between_0_and_1(first):
    """Of neighbouring seeds and of neighbouring draws: a hundred bins of 1,000 each, within five deviations."""
    for values in (chances(torch.arange(first, first + 100_000), 1), chances(torch.tensor([first]), 100_000)):
        assert values.min() >= 0
        assert values.max() < 1
        counts = torch.histc(values, 100, 0, 1)
        assert (counts - 1000).abs().max() < 5 * 1000**0.5
    neighbours = chances(torch.arange(first, first + 20_000), 2) - 0.5
    for one, other in ((neighbours[:, 0], neighbours[:, 1]), (neighbours[1:, 0], neighbours[:-1, 0])):
        assert (one * other).mean().abs() < 5 / 12 / 20_000**0.5


def test_dropout_leaves_out_a_share_and_keeps_the_mean():
    x = torch.ones(4, 10_000)
    y = drop(x, 0.25, SEEDS)
    assert_close(y.unique(), torch.tensor([0.0, 4 / 3]))
    assert_close((y == 0).float().mean(1), torch.full((4,), 0.25), atol=0.03, rtol=0)
    assert torch.equal(drop(x[1:3], 0.25, SEEDS[1:3]), y[1:3])
    assert drop(x, 0.0, SEEDS) is x
