import math

import torch
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


def test_appending_keys_equals_projecting_all_at_once():
    torch.manual_seed(0)
    attention = Attention(4, 2, dropout=0.0)
    y_BMD = torch.randn(2, 5, 4)
    appended = attention.keys_values(y_BMD[:, :2]).append(attention.keys_values(y_BMD[:, 2:]))
    for found, expected in zip(appended, attention.keys_values(y_BMD), strict=True):
        assert_close(found, expected)
