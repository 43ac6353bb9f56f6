"""The captioner's loss: label smoothing in both directions (AKG-sv; Szegedy et al., 2016, section 7).

The targets are words of the vocabulary and `<eos>`; padding and words outside the vocabulary are none. The sum over
targets is divided by the number of targets of the whole step, over all processes and accumulations. How many processes
and accumulations there are thus does not change the gradient, and curves of training and validation can be compared.
(The published code divides by padded positions, and logs after dividing by the accumulation.)

Shapes: C captions, L left-to-right tokens, M right-to-left tokens, X targets, V words.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.captioning.batches import CaptionBatch
from pipeline.captioning.captioner import Captioner
from pipeline.vocabulary import NEVER_GENERATED, PAD, UNK


class LossSums(NamedTuple):
    """Losses summed over targets, left to right and right to left."""

    left_to_right: Tensor
    right_to_left: Tensor


def smoothed_loss_sum(logits_CLV: Tensor, targets_CL: Tensor, smoothing: float) -> Tensor:
    """Kullback-Leibler divergence of the prediction from the smoothed targets, summed over targets.

    The smoothed target gives `1 - smoothing` to the word and shares the rest among the other words that can be
    generated; padding, `<bos>` and `<unk>` get nothing.

    Args:
        logits_CLV: Logits of the predictions.
        targets_CL: The tokens to predict; places with `<pad>` or `<unk>` are left out.
        smoothing: Probability that is taken from the word and shared among the others, in [0, 1).

    Returns:
        A scalar; it is 0 for predictions equal to the smoothed targets.
    """
    is_target_CL = is_target(targets_CL)
    targets_X = targets_CL[is_target_CL]
    log_probs_XV = logits_CLV[is_target_CL].float().log_softmax(1)
    num_others = logits_CLV.shape[2] - len(NEVER_GENERATED) - 1
    other = smoothing / num_others
    log_prob_X = log_probs_XV.gather(1, targets_X[:, None])[:, 0]
    never = torch.tensor(NEVER_GENERATED, device=logits_CLV.device)
    log_prob_others_X = log_probs_XV.index_fill(1, never, 0).sum(1) - log_prob_X
    entropy = sum(p * math.log(p) * n for p, n in ((1 - smoothing, 1), (other, num_others)) if p > 0)
    return len(targets_X) * entropy - ((1 - smoothing) * log_prob_X + other * log_prob_others_X).sum()


def is_target(tokens: Tensor) -> Tensor:
    """True for the tokens that the loss scores: words and `<eos>`, not padding or `<unk>`."""
    return (tokens != PAD) & (tokens != UNK)


def caption_losses(model: Captioner, batch: CaptionBatch, smoothing: float) -> LossSums:
    """Predict the captions of a batch with teacher forcing, and sum the losses of each direction."""
    left_to_right, right_to_left = batch.left_to_right, batch.right_to_left
    forward_CLV, backward_CMV = model(
        batch.graphs,
        left_to_right[:, :-1],
        right_to_left[:, :-1],
        right_to_left[:, 1:] != PAD,  # <bos> and words, but not the <eos> of a shorter caption
        batch.caption_graph,
    )
    return LossSums(
        smoothed_loss_sum(forward_CLV, left_to_right[:, 1:], smoothing),
        smoothed_loss_sum(backward_CMV, right_to_left[:, 1:], smoothing),
    )


def weighted_mean(sums: LossSums, num_tokens: tuple[int, int], left_to_right_weight: float) -> Tensor:
    """The piece's share of the loss: the two sums, each divided by the step's number of targets, weighted and added.

    Args:
        sums: Loss sums of the piece.
        num_tokens: Number of targets of the whole step: left to right, and right to left.
        left_to_right_weight: Weight of the left-to-right loss, in [0, 1]; the other direction has the rest.
    """
    return torch.add(
        left_to_right_weight * sums.left_to_right / num_tokens[0],
        (1 - left_to_right_weight) * sums.right_to_left / num_tokens[1],
    )
