"""The attention of CAST and a softmax by hand give the same, and each process tells its own peak."""

import pytest
import torch

from benchmarks import cast_network
from benchmarks.cast_network import attention_rows, peak_row


def test_both_ways_are_measured():
    forward, step = attention_rows("small", (2, 6, 8), 1, heads=2)
    assert (forward.stage, step.stage) == ("small, forward", "small, step")
    assert forward.ratio > 0


def test_ways_that_differ_are_refused(monkeypatch):
    monkeypatch.setattr(cast_network, "by_hand", lambda q, *_: torch.zeros_like(q))
    with pytest.raises(ValueError, match="small: the softmax by hand differs"):
        attention_rows("small", (2, 6, 8), 1, heads=2)


def test_weights_that_are_written_out_take_their_memory():
    row = peak_row("joint", (1, 1024, 32), heads=4)  # 17 MB of weights, several times over
    assert row.ratio > 2
