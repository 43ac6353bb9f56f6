"""Beam search for the captions of many videos at once, with any step decoder.

The score of a caption is the sum of its log-probabilities. It is used as it is, as in AKG-sv and BTKG (doi
10.1007/s11042-023-17822-4), or divided by a power of the number of words (Wu et al., 2016, section 7, divide by a power
of a shifted length).

A sum never rises when words are added, and a caption has at most `max_words` words. A continuation of a beam therefore
scores at most the beam's sum divided by the power of `max_words`. A beam for which this is no more than the finished
captions of its video have is given up, and a video whose beams are all given up leaves the batch: nothing that is
computed for them could change the result. Beams are sorted by their sums, so those that go on come first.

Shapes: G videos of the batch, N videos that are still searched, W beams of each that go on, K finished captions kept,
R captions of all videos (R = N W), S tokens so far, L tokens at most, V words, X captions to choose from.
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

    def put(self, video_N: Tensor, of_some: "Finished") -> None:
        """Write the captions of some videos, in place."""
        self.tokens_GKL[video_N] = of_some.tokens_GKL
        self.score_GK[video_N] = of_some.score_GK


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
    best = Finished(
        torch.full((num_videos, num_kept, rules.max_words + 1), PAD, device=device),
        torch.full((num_videos, num_kept), -torch.inf, device=device),
    )
    found = Finished(best.tokens_GKL.clone(), best.score_GK.clone())
    video_N = torch.arange(num_videos, device=device)
    tokens_NWS = torch.full((num_videos, 1, 1), BOS, device=device)
    score_NW = torch.zeros(num_videos, 1, device=device)
    state = decoder.begin(1)
    for num_words in range(rules.max_words + 1):
        log_probs_RV, state = decoder.step(tokens_NWS[:, :, -1].flatten(), state)
        log_probs_NWV = forbid(log_probs_RV.view(*score_NW.shape, -1), tokens_NWS, rules)
        if num_words > 0:
            ended_NW = (score_NW + log_probs_NWV[:, :, EOS]) / num_words**length_penalty
            best = keep_better(best, tokens_NWS, ended_NW)
        if num_words == rules.max_words:
            break
        log_probs_NWV[:, :, EOS] = -torch.inf
        num_before, num_choices = score_NW.shape[1], log_probs_NWV.shape[1] * log_probs_NWV.shape[2]
        score_NW, choice_NW = (score_NW[:, :, None] + log_probs_NWV).flatten(1).topk(min(num_beams, num_choices))
        num_open = may_improve(best, score_NW, rules.max_words, length_penalty).sum(1).tolist()
        width = max(num_open)
        if width == 0:
            break
        first_row_N1 = torch.arange(len(video_N), device=device)[:, None] * num_before
        beam_NW, word_NW = choice_NW // log_probs_NWV.shape[2], choice_NW % log_probs_NWV.shape[2]
        tokens_NWS = torch.cat([of_beams(tokens_NWS, beam_NW), word_NW[:, :, None]], 2)[:, :width]
        row_NW, score_NW = (first_row_N1 + beam_NW)[:, :width], score_NW[:, :width]
        if 0 in num_open:
            found.put(video_N, best)
            going_N = torch.tensor([number for number, of_video in enumerate(num_open) if of_video], device=device)
            video_N, tokens_NWS, score_NW, row_NW = (of[going_N] for of in (video_N, tokens_NWS, score_NW, row_NW))
            best, decoder = Finished(*(of[going_N] for of in best)), decoder.keep(going_N)
        state = decoder.reorder(state, row_NW.flatten())
    found.put(video_N, best)
    return found


def may_improve(best: Finished, score_NW: Tensor, max_words: int, length_penalty: float) -> Tensor:
    """Whether a continuation of each beam can be among the K best captions of its video, `[N, W]`.

    It can if the sum of the beam, divided by `max_words` to the power of the length penalty, is more than the score of
    the worst of them.
    """
    return torch.lt(best.score_GK[:, -1:], score_NW / max_words**length_penalty)


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
