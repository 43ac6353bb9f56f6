import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close
from toys.rank_processes import on_ranks

from pipeline.finetuning.retrieval import symmetric_loss
from pipeline.finetuning.retrieval_training import own_part
from pipeline.jobs.rank_group import Ranks, joined_ranks
from pipeline.training.gathering import gather_rows

NUM_ITEMS = 5


def gradients(ranks: Ranks) -> list[torch.Tensor]:
    """This rank's gradients, of two towers and the scale, of its share of a batch's symmetric loss."""
    generator = torch.Generator().manual_seed(1)
    texts_BE, videos_BE = (torch.randn(NUM_ITEMS, 4, generator=generator) for _ in range(2))
    towers = [torch.randn(4, 3, generator=generator).requires_grad_() for _ in range(2)]
    scale = torch.tensor(1.5, requires_grad=True)
    own = own_part(NUM_ITEMS, ranks)
    text_BD, video_BD = (
        gather_rows(F.normalize(x_BE[own] @ tower, dim=-1), own, NUM_ITEMS, ranks)
        for x_BE, tower in zip((texts_BE, videos_BE), towers, strict=True)
    )
    symmetric_loss(scale.exp() * text_BD @ video_BD.T, own).backward()
    return [*(tower.grad for tower in towers), scale.grad]


def joined_gradients() -> list[list]:
    with joined_ranks() as ranks:
        return [gradient.tolist() for gradient in gradients(ranks)]


def test_one_rank_has_all_rows():
    rows = torch.ones(2, 3)
    assert gather_rows(rows, slice(0, 2), 2, Ranks()) is rows


@pytest.mark.slow
@pytest.mark.parametrize("num", [2, 3])
def test_gradients_of_the_ranks_add_up_to_those_of_one_process(num):
    """Five items on two or three ranks, that of the scale included, which every rank has a share of."""
    expected = gradients(Ranks())
    found = on_ranks(num, joined_gradients)
    for place, gradient in enumerate(expected):
        assert gradient.abs().max() > 0.01
        assert_close(sum(torch.tensor(rank[place]) for rank in found), gradient)
