import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from pipeline.models.attention import Attention, sinusoidal_positions


def test_positions_start_with_sines_and_cosines():
    table = sinusoidal_positions(3, 4)
    expected = [[0, 1, 0, 1], [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]]
    assert_close(table[:2], torch.tensor(expected))


def test_heads_attend_by_scaled_products():
    torch.manual_seed(0)
    attention = Attention(4, 2, dropout=0.0)
    x_BLD, y_BMD = torch.randn(1, 3, 4), torch.randn(1, 5, 4)
    query, (key, value) = attention.query(x_BLD)[0], attention.key_value(y_BMD)[0].split(4, 1)
    found = [
        torch.softmax(query[:, h] @ key[:, h].T / math.sqrt(2), 1) @ value[:, h] for h in (slice(0, 2), slice(2, 4))
    ]
    assert_close(attention(x_BLD, attention.keys_values(y_BMD))[0], attention.out(torch.cat(found, 1)))


def test_masked_keys_change_nothing():
    torch.manual_seed(0)
    attention = Attention(4, 2, dropout=0.0)
    x_BLD, y_BMD = torch.randn(1, 3, 4), torch.randn(1, 5, 4)
    mask = torch.tensor([True, True, True, False, False])[None, None, None]
    short = attention(x_BLD, attention.keys_values(y_BMD[:, :3]))
    assert_close(attention(x_BLD, attention.keys_values(y_BMD), mask), short)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_in_steps_has_the_values_and_gradients_of_the_fused_one(causal):
    """Training in bf16 takes the steps, training in float32 without dropout the fused kernel."""
    torch.manual_seed(0)
    attention = Attention(16, 2, dropout=0.0).train()
    x_BLD = torch.randn(3, 5, 16, requires_grad=True)
    mask = None if causal else torch.tensor([[True] * 5, [True] * 4 + [False], [True] + [False] * 4])[:, None, None]
    query_BHLK = attention.query(x_BLD).unflatten(2, (2, -1)).transpose(1, 2)
    attended = attention.keys_values(x_BLD)
    fused = F.scaled_dot_product_attention(query_BHLK, *attended, mask, is_causal=causal)
    in_steps = attention._attend_in_steps(query_BHLK, attended, mask, causal)
    assert_close(in_steps, fused)
    factor = torch.randn_like(fused)
    expected, found = (torch.autograd.grad((way * factor).sum(), x_BLD, retain_graph=True) for way in (fused, in_steps))
    assert_close(found, expected)


def test_training_in_bf16_without_dropout_takes_the_steps(monkeypatch):
    attention = Attention(16, 2, dropout=0.0).train()
    taken = []
    monkeypatch.setattr(attention, "_attend_in_steps", lambda *of: taken.append(of) or of[0])
    x_BLD = torch.randn(1, 5, 16)
    attention(x_BLD, attention.keys_values(x_BLD))
    with torch.autocast("cpu", torch.bfloat16):
        attention(x_BLD, attention.keys_values(x_BLD))
        attention.eval()(x_BLD, attention.keys_values(x_BLD))
    assert [of[0].dtype for of in taken] == [torch.bfloat16]


def test_appending_keys_equals_projecting_all_at_once():
    torch.manual_seed(0)
    attention = Attention(4, 2, dropout=0.0)
    y_BMD = torch.randn(2, 5, 4)
    appended = attention.keys_values(y_BMD[:, :2]).append(attention.keys_values(y_BMD[:, 2:]))
    for found, expected in zip(appended, attention.keys_values(y_BMD), strict=True):
        assert_close(found, expected)
