"""The plain forms of RSTG and DyReg give what the modules give, and shares are of the network alone."""

import pytest
import torch

from benchmarks import recognition_modules
from benchmarks.recognition_modules import dyreg_rows, rstg_rows, share_rows


def test_plain_forms_are_equal_and_slower():
    for found in (rstg_rows(1, 8, 2), dyreg_rows(1, 8, 2)):
        pair_by_pair, at_once = found
        assert (pair_by_pair.goal, at_once.goal) == (3, None)
        assert pair_by_pair.ratio > 3


def test_plain_forms_that_differ_are_refused(monkeypatch):
    monkeypatch.setattr("benchmarks.plain_modules.along_time", lambda _cell, nodes: torch.zeros_like(nodes))
    with pytest.raises(ValueError, match="the plain form differs"):
        dyreg_rows(1, 8, 2)


def test_shares_are_of_the_network_alone(monkeypatch):
    monkeypatch.setattr(recognition_modules, "CLASSES", 3)
    found = share_rows(1, 224, 1)
    assert [row.unit for row in found] == ["% more"] * 10
    assert all(0 < row.ratio < 20 for row in found if row.stage.endswith("operations"))
