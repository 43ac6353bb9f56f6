"""Activation memory is what is saved for the backward pass and no parameter, and both encoders are equal."""

import pytest
import torch
from torch import nn

from benchmarks import graph_encoder
from benchmarks.graph_encoder import compare, saved_bytes


def test_memory_counts_each_storage_once_and_no_parameter():
    layer, x = nn.Linear(4, 8), torch.ones(16, 4)
    # The input is saved for the weight's gradient, and the output for those of the square and of the product.
    assert saved_bytes(layer, lambda: layer(x)) == 4 * 16 * 4
    assert saved_bytes(layer, lambda: (y := layer(x)).square() * y) == 4 * 16 * (4 + 8 + 8)


@pytest.mark.parametrize("num_graphs", [1, 3])
def test_rows_compare_time_and_memory(num_graphs):
    of_time, of_memory = compare(num_graphs, 4, 8, 16, 64, torch.device("cpu"), 1)
    assert (of_time.goal, of_memory.goal) == (4, 20)
    assert of_memory.ratio > 1
    assert f"{num_graphs} x 36 nodes, width 16" in of_memory.stage


def test_encoders_that_differ_are_refused(monkeypatch):
    class Twice(graph_encoder.ExpandedEncoder):
        def forward(self, graph):
            return 2 * super().forward(graph)

    monkeypatch.setattr(graph_encoder, "ExpandedEncoder", Twice)
    with pytest.raises(ValueError, match="the encoders differ"):
        compare(1, 4, 8, 16, 64, torch.device("cpu"), 1)
