"""The factor of the learning rate in each step, written out."""

import pytest

from pipeline.training.rates import Rate


def test_polynomial_falls_to_nothing_at_the_end():
    rate = Rate("polynomial", 10, 2)
    assert [rate(step) for step in (0, 1, 2)] == [0.5, 1.0, 1.0]
    assert rate(6) == pytest.approx(0.5**0.9)
    assert rate(10) == rate(11) == 0.0


def test_cosine_and_constant():
    cosine, constant = Rate("cosine", 10, 0), Rate("constant", 10, 0)
    assert [cosine(0), cosine(5), cosine(10)] == pytest.approx([1, 0.5, 0])
    assert constant(9) == 1.0


def test_plateau_waits_for_a_better_loss():
    rate = Rate("plateau", 100, 0, [2])
    for loss in (3.0, 2.0, 2.0):
        rate.observe(loss)
    assert rate(5) == 1.0
    rate.observe(2.5)
    assert rate(6) == pytest.approx(0.1)
    rate.observe(1.0)
    rate.observe(1.0)
    rate.observe(1.0)
    assert rate(7) == pytest.approx(0.01)
