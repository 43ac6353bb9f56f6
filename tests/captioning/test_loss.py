import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close
from toys.captioner import MODEL, captioner, graph

from pipeline.captioning.batches import CaptionedVideos, EpochPlan, PieceBatches
from pipeline.captioning.loss import LossSums, caption_losses, smoothed_loss_sum, weighted_mean
from pipeline.vocabulary import Vocabulary

WORDS = Vocabulary(("<pad>", "<bos>", "<eos>", "<unk>", "a", "dog", "cat", "runs"), max_words=4)
CAPTIONS = {f"v{n}": ["a dog runs", "a cat", "purple dog"] for n in range(4)}
VIDEOS = CaptionedVideos.of_split(list(CAPTIONS), CAPTIONS, WORDS)
GRAPHS = {video_id: graph(n, 1 + n % 3) for n, video_id in enumerate(CAPTIONS)}


def test_two_rows_by_hand():
    """Five tokens, of which 2 (the end) and 4 can be generated; smoothing 0.2.

    Row 1 predicts token 4 with 1/2 and the others with 1/8 each; its target is 4, smoothed (4: 0.8, 2: 0.2).
    Row 2 predicts all alike and its target is 2. Row 3 is padding, row 4 an unknown word.
    """
    logits = torch.log(torch.tensor([[0.125, 0.125, 0.125, 0.125, 0.5], [0.2] * 5, [0.96] + [0.01] * 4, [0.2] * 5]))
    loss = smoothed_loss_sum(logits[None], torch.tensor([[4, 2, 0, 3]]), 0.2)
    first = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.125)
    second = 0.8 * math.log(0.8 / 0.2) + 0.2 * math.log(0.2 / 0.2)
    assert float(loss) == pytest.approx(first + second, abs=1e-6)


def test_without_smoothing_it_is_the_cross_entropy():
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 3, 9), torch.tensor([[4, 5, 2], [8, 2, 0]])
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=0, reduction="sum")
    assert_close(smoothed_loss_sum(logits, targets, 0.0), expected)


def test_a_perfect_prediction_costs_nothing():
    probabilities = torch.tensor([[[1e-30, 1e-30, 0.05, 1e-30, 0.9, 0.05]]])
    loss = smoothed_loss_sum(probabilities.log(), torch.tensor([[4]]), 0.1)
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_padding_teaches_nothing():
    """T13 and T15: padding changes neither the sum nor, through it, any gradient."""
    torch.manual_seed(0)
    logits = torch.randn(1, 5, 8, requires_grad=True)
    loss = smoothed_loss_sum(logits, torch.tensor([[4, 2, 0, 0, 0]]), 0.15)
    assert_close(loss, smoothed_loss_sum(logits[:, :2], torch.tensor([[4, 2]]), 0.15))
    loss.backward()
    assert not logits.grad[:, 2:].any()
    assert logits.grad[:, :2].any()


def test_directions_are_weighted_means():
    sums = LossSums(torch.tensor(6.0), torch.tensor(20.0))
    assert float(weighted_mean(sums, (3, 5), 0.6)) == pytest.approx(0.6 * 2 + 0.4 * 4)


def gradients(accumulate, num_processes=1):
    model = captioner(len(WORDS), MODEL.model_copy(update={"dropout": 0.0})).train()
    plan = EpochPlan(VIDEOS, 4, accumulate, 2, "epoch", seed=0, num_processes=num_processes)
    batches = PieceBatches(VIDEOS, GRAPHS)
    total = 0.0
    for process in range(num_processes):
        pieces = plan.draw(0, process)
        assert len(pieces) == accumulate
        for piece in pieces:
            batch = batches[piece]
            loss = weighted_mean(caption_losses(model, batch, 0.15), batch.num_tokens, 0.6)
            loss.backward()
            total += loss.item()
    return total, {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize(("accumulate", "num_processes"), [(2, 1), (4, 1), (1, 2), (2, 2)])
def test_pieces_add_up_to_the_whole_step(accumulate, num_processes):
    """T15 and T16: accumulation and processes change neither loss nor gradient."""
    total, expected = gradients(1)
    in_pieces, found = gradients(accumulate, num_processes)
    assert in_pieces == pytest.approx(total, abs=1e-5)
    for name, gradient in expected.items():
        assert_close(found[name], gradient, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


def test_longer_neighbours_change_no_loss():
    """The other caption's padding is hidden from the left-to-right decoder, and its end as well."""
    model = captioner(len(WORDS))
    batches = PieceBatches(VIDEOS, GRAPHS)
    pairs = EpochPlan(VIDEOS, 4, 1, 3, "epoch", 0, 1).draw(0, 0)[0].pairs
    together = caption_losses(model, batches[VIDEOS.piece(pairs)], 0.15)
    alone = [caption_losses(model, batches[VIDEOS.piece([pair])], 0.15) for pair in pairs]
    for direction in (0, 1):
        assert_close(together[direction], sum(sums[direction] for sums in alone), atol=1e-4, rtol=1e-5)
