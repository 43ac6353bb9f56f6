"""Masks of dropout: share, scale, independence, and the generator they follow from."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.models.attention import Attention
from pipeline.models.dropout import Dropout, drop, keep_factors


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_the_share_asked_for_is_dropped_and_the_mean_stays(share):
    torch.manual_seed(0)
    dropped = drop(torch.ones(1000, 1000), share)
    # The standard deviation of the share is at most 0.0005; the threshold in 16 bits adds at most 1 / 131,072.
    assert (dropped == 0).double().mean().item() == pytest.approx(share, abs=0.002)
    kept = dropped[dropped != 0]
    assert kept.unique().numel() == 1
    assert kept[0].item() == pytest.approx(1 / (1 - share), rel=2e-5)
    assert dropped.double().mean().item() == pytest.approx(1, abs=0.005)


def test_values_are_dropped_independently_of_their_neighbours_and_of_the_call_before():
    torch.manual_seed(1)
    first, second = (keep_factors(torch.ones(2**20), 0.5) == 0 for _ in range(2))
    # Four neighbours share a 64-bit draw. Two independent halves agree half the time, with a deviation of 0.0005.
    for distance in range(1, 9):
        assert (first[distance:] == first[:-distance]).double().mean().item() == pytest.approx(0.5, abs=0.003)
    assert (first == second).double().mean().item() == pytest.approx(0.5, abs=0.003)
    assert [first[lane::4].double().mean().item() for lane in range(4)] == pytest.approx([0.5] * 4, abs=0.005)


def test_a_seed_or_a_restored_generator_gives_the_same_mask_again():
    torch.manual_seed(2)
    first, state, second = keep_factors(torch.ones(7, 9), 0.4), torch.get_rng_state(), keep_factors(torch.ones(99), 0.4)
    torch.set_rng_state(state)
    assert torch.equal(keep_factors(torch.ones(99), 0.4), second)
    torch.manual_seed(2)
    assert torch.equal(keep_factors(torch.ones(7, 9), 0.4), first)


def test_gradients_flow_through_the_values_that_were_kept():
    torch.manual_seed(3)
    x = torch.randn(5, 3, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert 0 < (y == 0).sum() < 15
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, 2.0))


def test_numbers_keep_their_type_and_a_share_of_zero_or_evaluation_draws_nothing():
    torch.manual_seed(4)
    x, before = torch.randn(8), torch.get_rng_state()
    assert drop(x, 0.0) is x
    assert Dropout(0.9).eval()(x) is x
    assert torch.equal(torch.get_rng_state(), before)
    assert drop(x.bfloat16(), 0.5).dtype == torch.bfloat16
    assert drop(torch.ones(0, 4), 0.5).shape == (0, 4)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_with_dropout_has_the_mean_of_attention_without(causal):
    torch.manual_seed(5)
    attention, x = Attention(8, 2, dropout=0.3), torch.randn(1, 4, 8)
    mask = None if causal else torch.tensor([True, True, False, True])[None, None, None]
    many = x.expand(20_000, -1, -1)
    with torch.no_grad():
        with_dropout = attention(many, attention.keys_values(many), mask, causal)
        exact = attention.eval()(x, attention.keys_values(x), mask, causal)
    assert with_dropout.std(0).max() > 0.05
    torch.testing.assert_close(with_dropout.mean(0), exact[0], atol=0.01, rtol=0)


def test_attention_with_dropout_equals_pytorchs_where_nothing_is_dropped(monkeypatch):
    torch.manual_seed(6)
    attention, x = Attention(8, 2, dropout=0.3), torch.randn(3, 4, 8)
    mask = torch.rand(3, 1, 1, 4) > 0.3
    mask[..., 0] = True
    expected = attention.eval()(x, attention.keys_values(x), mask)
    monkeypatch.setattr("pipeline.models.attention.drop", lambda x, share: F.dropout(x, 0 * share))
    torch.testing.assert_close(attention.train()(x, attention.keys_values(x), mask), expected)
