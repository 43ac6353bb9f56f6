"""Beam search for the captions of many videos at once, with any step decoder.

The score of a caption is the sum of its log-probabilities. It is used as it is, as in AKG-sv and BTKG (doi
10.1007/s11042-023-17822-4), or divided by a power of the number of words (Wu et al., 2016, section 7, divide by a power
of a shifted length).

A sum never rises when words are added, and a caption has at most `max_words` words. A continuation of a beam therefore
scores at most the beam's sum divided by the power of `max_words`. Once the finished captions of a video reach this
bound, further steps, which other videos of the batch may need, cannot change them.

Shapes: G videos, W beams, K finished captions kept, R captions of all videos (R = G W), S tokens so far, L tokens at
most, V words, X captions to choose from.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.captioning.step_decoder import State, StepDecoder
from pipeline.captioning.word_rules import WordRules, forbid
from pipeline.vocabulary import BOS, EOS, PAD


class Finished(NamedTuple):
    """The best finished captions of each video, the best first.

    Attributes:
        tokens_GKL: `<bos>` and the words of each caption, padded, `[G, K, L]`.
        score_GK: Scores of the captions, `[G, K]`; -inf where a video has fewer than K.
    """

    tokens_GKL: Tensor
    score_GK: Tensor

    def best(self) -> "Found":
        """The best caption of each video."""
        return Found(self.tokens_GKL[:, 0], self.score_GK[:, 0])


class Found(NamedTuple):
    """A finished caption of each video: `<bos>` and words, padded, `[G, L]`, and its score `[G]`."""

    tokens_GL: Tensor
    score_G: Tensor


class Search(NamedTuple):
    """What the search with a captioner of any kind has found for a batch of videos.

    Attributes:
        best: The best caption of each video.
        samples_GWL: Captions that `pipeline.captioning.nucleus.sample` drew besides; None if none were asked for.
        right_to_left: The best caption of the right-to-left decoder, last word first; None if there is no such decoder.
    """

    best: Found
    samples_GWL: Tensor | None
    right_to_left: Found | None


def search(
    decoder: StepDecoder[State], num_beams: int, rules: WordRules, length_penalty: float, num_kept: int
) -> Finished:
    """Search for the best captions of each video with one decoder.

    Args:
        decoder: The decoder that gives the next word's log-probabilities.
        num_beams: Number of beams W, at least 1.
        rules: The limits that captions must keep to.
        length_penalty: Scores are divided by the number of words to this power.
        num_kept: Number of finished captions K kept of each video, at least 1.

    Returns:
        The K best finished captions of each video; the best one has at least one word.
    """
    num_videos, device = decoder.num_videos, decoder.device
    first_row_G1 = torch.arange(num_videos, device=device)[:, None] * num_beams
    tokens_GWS = torch.full((num_videos, num_beams, 1), BOS, device=device)
    score_GW = torch.full((num_videos, num_beams), -torch.inf, device=device)
    score_GW[:, 0] = 0
    best = Finished(
        torch.full((num_videos, num_kept, rules.max_words + 1), PAD, device=device),
        torch.full((num_videos, num_kept), -torch.inf, device=device),
    )
    state = decoder.begin(num_beams)
    for num_words in range(rules.max_words + 1):
        log_probs_RV, state = decoder.step(tokens_GWS[:, :, -1].flatten(), state)
        log_probs_GWV = forbid(log_probs_RV.view(num_videos, num_beams, -1), tokens_GWS, rules)
        if num_words > 0:
            ended_GW = (score_GW + log_probs_GWV[:, :, EOS]) / num_words**length_penalty
            best = keep_better(best, tokens_GWS, ended_GW)
        if num_words == rules.max_words:
            break
        log_probs_GWV[:, :, EOS] = -torch.inf
        score_GW, choice_GW = (score_GW[:, :, None] + log_probs_GWV).flatten(1).topk(num_beams)
        if is_settled(best, score_GW, rules.max_words, length_penalty):
            break
        beam_GW = choice_GW // log_probs_GWV.shape[2]
        word_GW = choice_GW % log_probs_GWV.shape[2]
        tokens_GWS = torch.cat([of_beams(tokens_GWS, beam_GW), word_GW[:, :, None]], 2)
        state = decoder.reorder(state, (first_row_G1 + beam_GW).flatten())
    return best


def is_settled(best: Finished, score_GW: Tensor, max_words: int, length_penalty: float) -> bool:
    """Whether the K best captions of every video are final.

    They are when even the worst of them scores at least as much as any continuation of a beam can: the sum of the best
    beam, divided by `max_words` to the power of the length penalty.
    """
    return bool((best.score_GK[:, -1] >= score_GW[:, 0] / max_words**length_penalty).all())


def keep_better(best: Finished, tokens_GWS: Tensor, ended_GW: Tensor) -> Finished:
    """Merge the captions that end now into the K best; of equal scores, the earlier caption stays.

    Args:
        best: The best finished captions so far.
        tokens_GWS: Tokens of the beams.
        ended_GW: Score of each beam if its caption ends here.

    Returns:
        The K best of both.
    """
    num_kept, num_tokens = best.tokens_GKL.shape[1:]
    score_GX = torch.cat([best.score_GK, ended_GW], 1)
    score_GX, choice_GX = score_GX.sort(dim=1, descending=True, stable=True)
    ended_GWL = nn.functional.pad(tokens_GWS, (0, num_tokens - tokens_GWS.shape[2]), value=PAD)
    tokens_GXL = torch.cat([best.tokens_GKL, ended_GWL], 1)
    return Finished(of_beams(tokens_GXL, choice_GX[:, :num_kept]), score_GX[:, :num_kept])


def of_beams(tokens_GWS: Tensor, beam_GX: Tensor) -> Tensor:
    """Select captions of each video by their numbers `beam_GX`; returns their tokens `[G, X, S]` in that order."""
    return tokens_GWS.gather(1, beam_GX[:, :, None].expand(-1, -1, tokens_GWS.shape[2]))
