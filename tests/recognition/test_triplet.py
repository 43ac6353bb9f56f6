import pytest
import torch
from torch.testing import assert_close
from toys.rank_processes import on_ranks

from pipeline.jobs.rank_group import Ranks, joined_ranks
from pipeline.recognition.triplet import batch_all_loss, triplet_share

# On a line: clips at 0 and 1 are of class 0, that at 3 is of class 1.
LINE = torch.tensor([[0.0], [1.0], [3.0]])
CLASSES = torch.tensor([0, 0, 1])


def test_the_mean_of_the_triplets_that_cost_something():
    """(0, 1 | 3): 1 - 3 + m; (1, 0 | 3): 1 - 2 + m. With m = 1.5 the first costs nothing, and the second 0.5."""
    assert batch_all_loss(LINE, CLASSES, 1.5).item() == pytest.approx(0.5)
    assert batch_all_loss(LINE, CLASSES, 3.0).item() == pytest.approx((1 + 2) / 2)
    assert batch_all_loss(LINE, CLASSES, 0.5).item() == 0


def test_no_triplet_costs_nothing_and_equal_vectors_have_a_gradient_of_0():
    x = torch.zeros(3, 2, requires_grad=True)
    loss = batch_all_loss(x, CLASSES, 1.0)
    assert loss.item() == 1
    loss.backward()
    assert torch.equal(x.grad, torch.zeros(3, 2))
    assert batch_all_loss(LINE, torch.tensor([0, 1, 2]), 1.0).item() == 0
    assert batch_all_loss(LINE, torch.tensor([0, 0, 0]), 1.0).item() == 0


def test_one_process_has_the_whole_loss():
    assert triplet_share(LINE, CLASSES, 1.5, Ranks()).item() == pytest.approx(0.5)


def shares(ranks):
    """This process's share of the loss of five clips, and its gradient of a layer that makes their vectors."""
    generator = torch.Generator().manual_seed(1)
    x, labels = torch.randn(5, 4, generator=generator), torch.tensor([0, 1, 0, 2, 1])
    layer = torch.randn(4, 3, generator=generator).requires_grad_()
    own = torch.arange(5).tensor_split(ranks.num)[ranks.number]
    share = triplet_share(x[own] @ layer, labels[own], 1.0, ranks)
    share.backward()
    return share.item(), layer.grad.tolist()


def joined_shares():
    with joined_ranks() as ranks:
        return shares(ranks)


@pytest.mark.slow
def test_two_processes_have_the_loss_and_the_gradient_of_one():
    """Three clips here and two there: most triplets have clips of both."""
    loss, gradient = shares(Ranks())
    found = on_ranks(2, joined_shares)
    assert sum(share for share, _ in found) == pytest.approx(loss)
    assert_close(sum(torch.tensor(own) for _, own in found), torch.tensor(gradient))
