"""AdaBound by hand: its first step, its bounds, and where it ends."""

import copy

import pytest
import torch

from pipeline.training.adabound import AdaBound


def one_weight(value=1.0, **settings):
    weight = torch.nn.Parameter(torch.tensor([value]))
    return weight, AdaBound([weight], **({"lr": 0.001, "final_lr": 0.1, "weight_decay": 0.0} | settings))


def test_the_first_step_by_hand():
    """Mean 0.1 g and square 0.001 g^2, both corrected: a step of Adam's, lr, which both bounds admit."""
    weight, optimizer = one_weight()
    weight.grad = torch.tensor([0.5])
    optimizer.step()
    # Step size 0.001 * sqrt(0.001) / 0.1 / (sqrt(0.001) * 0.5) = 0.02, of the mean 0.05; bounds of 0.0001 and 100.1.
    assert float(weight.detach()) == pytest.approx(1 - 0.02 * 0.05)


def test_step_sizes_are_kept_between_bounds():
    """Of a tiny gradient the step size would be 1,000,000 times lr: at most final_lr (1 + 1 / gamma)."""
    weight, optimizer = one_weight(final_lr=1e-6)
    weight.grad = torch.tensor([1e-6])
    optimizer.step()
    assert float(optimizer.state[weight]["mean"]) == pytest.approx(1e-7)
    assert 1 - float(weight.detach().double()) == pytest.approx(1e-6 * 1001 * 1e-7, abs=1e-7)


def test_it_ends_as_momentum_with_the_final_rate():
    weight, optimizer = one_weight(final_lr=0.05)
    for _ in range(3):
        weight.grad = torch.tensor([0.2])
        optimizer.step()
    optimizer.state[weight]["step"] = 10**9  # the bounds are one there
    before, mean = float(weight.detach()), float(optimizer.state[weight]["mean"])
    weight.grad = torch.tensor([0.2])
    optimizer.step()
    assert before - float(weight.detach()) == pytest.approx(0.05 * (0.9 * mean + 0.1 * 0.2), rel=1e-4)


def test_bounds_fall_as_the_learning_rate_does():
    weight, optimizer = one_weight(value=0.0, final_lr=0.05)
    optimizer.param_groups[0]["lr"] *= 0.1
    weight.grad = torch.tensor([0.2])
    optimizer.step()
    optimizer.state[weight]["step"] = 10**9
    before, mean = float(weight.detach()), float(optimizer.state[weight]["mean"])
    weight.grad = torch.tensor([0.2])
    optimizer.step()
    assert before - float(weight.detach()) == pytest.approx(0.005 * (0.9 * mean + 0.1 * 0.2), rel=1e-4)


def test_weights_decay_through_their_gradients_and_its_state_is_stored():
    weight, optimizer = one_weight(value=2.0, weight_decay=0.1)
    weight.grad = torch.tensor([0.0])
    optimizer.step()
    assert float(optimizer.state[weight]["mean"]) == pytest.approx(0.1 * 0.2)
    other, again = one_weight(value=float(weight.detach()), weight_decay=0.1)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for parameter, own in ((weight, optimizer), (other, again)):
        parameter.grad = torch.tensor([0.3])
        own.step()
    assert torch.equal(weight, other)


def test_it_finds_the_least_of_a_bowl():
    weight, optimizer = one_weight(value=3.0, lr=0.05)
    for _ in range(400):
        weight.grad = 2 * (weight.detach() - 1)
        optimizer.step()
    assert float(weight.detach()) == pytest.approx(1, abs=1e-2)
