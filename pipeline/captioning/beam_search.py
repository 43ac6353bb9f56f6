"""Beam search for captions, many videos at once.

The right-to-left caption is searched first. The left-to-right search then attends to the hidden states of the best
*finished* right-to-left caption of its video, masked as in training (the published code attends to whichever unfinished
prefix happened to survive). Scores are sums of log-probabilities, plain as in AKG-sv and BTKG (doi
10.1007/s11042-023-17822-4), or divided by a power of the number of words (Wu et al., 2016, section 7, divide by a power
of a shifted length). `rerank: both` chooses among the finished left-to-right captions by the sum of what both decoders
give them.

A sum only ever falls, and no caption is longer than the longest one allowed. So no continuation of a beam scores more
than the beam's sum over the power of the greatest length, and a video is done when its finished captions reach that:
what other videos of the batch still need cannot change it.

Shapes: G videos, W beams, K finished captions kept, S tokens so far, L tokens at most, V words, D width.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.captioning.captioner import Captioner, Context, Decoder
from pipeline.captioning.nucleus import sample
from pipeline.captioning.word_rules import WordRules, forbid
from pipeline.config import DecodingSettings
from pipeline.models.action_graph import batch_graphs
from pipeline.vocabulary import BOS, EOS, PAD, Vocabulary


class Caption(NamedTuple):
    """A generated caption.

    Attributes:
        text: The caption.
        score: Its log-probability by the left-to-right decoder, divided by the number of words to the power of the
            length penalty.
        right_to_left: The best caption of the right-to-left decoder, turned round to be read.
        samples: Further captions, drawn; none unless asked for.
    """

    text: str
    score: float
    right_to_left: str
    samples: tuple[str, ...] = ()


class Finished(NamedTuple):
    """The best finished captions of each video, the best first.

    Attributes:
        tokens_GKL: `<bos>` and words, padded, `[G, K, L]`.
        score_GK: Their scores; -inf where there are fewer than K captions.
    """

    tokens_GKL: Tensor
    score_GK: Tensor

    def best(self) -> "Found":
        """The best one of each video."""
        return Found(self.tokens_GKL[:, 0], self.score_GK[:, 0])


class Found(NamedTuple):
    """A finished caption of each video: `<bos>` and words, padded, `[G, L]`, and its score `[G]`."""

    tokens_GL: Tensor
    score_G: Tensor


class Search(NamedTuple):
    """What a batch of videos was found to show; samples as in `pipeline.captioning.nucleus.sample`."""

    right_to_left: Found
    left_to_right: Found
    samples_GWL: Tensor | None


def caption_graphs(
    model: Captioner,
    vocabulary: Vocabulary,
    graphs: Sequence[Any],
    settings: DecodingSettings,
    ids: Sequence[str] | None = None,
) -> list[Caption]:
    """Caption action graphs.

    Args:
        model: On any device; it is put into evaluation mode and left in the mode it was in.
        vocabulary: The words it was trained with.
        graphs: Action graphs, of any videos.
        settings: How captions are searched for.
        ids: Of the videos. What is drawn for a video follows from its id; without ids, from its place in `graphs`.

    Returns:
        One caption a graph, in order.
    """
    return list(iterate_captions(model, vocabulary, graphs, settings, ids))


def iterate_captions(
    model: Captioner,
    vocabulary: Vocabulary,
    graphs: Sequence[Any],
    settings: DecodingSettings,
    ids: Sequence[str] | None = None,
) -> Iterator[Caption]:
    """As `caption_graphs`, batch by batch; of `graphs` only a batch at a time is asked for."""
    device = model.generator.weight.device
    training = model.training
    model.eval()
    try:
        for start in range(0, len(graphs), settings.batch_size):
            numbers = range(start, min(start + settings.batch_size, len(graphs)))
            batch = batch_graphs([graphs[number] for number in numbers]).to(device)
            found = search_batch(model, batch, settings, [ids[n] if ids is not None else str(n) for n in numbers])
            backward = found.right_to_left.tokens_GL.tolist()
            forward = found.left_to_right.tokens_GL.tolist()
            scores = found.left_to_right.score_G.tolist()
            samples = [[]] * len(numbers) if found.samples_GWL is None else found.samples_GWL.tolist()
            for i in range(len(numbers)):
                texts = tuple(vocabulary.decode(tokens) for tokens in samples[i])
                yield Caption(vocabulary.decode(forward[i]), scores[i], vocabulary.decode(backward[i][::-1]), texts)
    finally:
        model.train(training)


@torch.inference_mode()
def search_batch(model: Captioner, graphs: Any, settings: DecodingSettings, ids: Sequence[str]) -> Search:
    """Search right to left, then left to right in the light of what was found; then draw captions if asked to.

    Args:
        model: In evaluation mode.
        graphs: Of `batch_graphs`, on the model's device.
        settings: How captions are searched for.
        ids: Of the videos.

    Returns:
        The best captions of the right-to-left decoder, last word first, those of the left-to-right decoder, samples.
    """
    rules = WordRules(settings.min_words, settings.max_words, settings.no_repeat_ngram)
    penalty, num_kept = settings.length_penalty, settings.beam if settings.rerank == "both" else 1
    memory = model.encode(graphs)
    backward, forward = model.decoder_right_to_left, model.decoder_left_to_right
    frames = backward.context(0, memory.right_to_left_GTD, memory.right_to_left_mask_GT)
    right_to_left = search(model, backward, [frames], settings.beam, rules, penalty, num_kept=1).best()
    states_GLD, _ = backward(model.embed(right_to_left.tokens_GL), [frames])
    contexts = [
        forward.context(0, memory.left_to_right_GMD, memory.left_to_right_mask_GM),
        forward.context(1, states_GLD, right_to_left.tokens_GL != PAD),
    ]
    finished = search(model, forward, contexts, settings.beam, rules, penalty, num_kept)
    left_to_right = finished.best() if num_kept == 1 else rerank(model, frames, finished, penalty)
    samples_GWL = None
    if settings.nucleus is not None:
        samples_GWL = sample(model, forward, contexts, ids, settings.nucleus, rules)
    return Search(right_to_left, left_to_right, samples_GWL)


def search(
    model: Captioner,
    decoder: Decoder,
    contexts: list[list[Context]],
    num_beams: int,
    rules: WordRules,
    length_penalty: float,
    num_kept: int,
) -> Finished:
    """Beam search with one decoder.

    Args:
        model: Gives embedding and generator.
        decoder: The direction.
        contexts: What it attends to, one row a video.
        num_beams: W, at least 1.
        rules: What captions must keep to.
        length_penalty: Scores are divided by the number of words to this power.
        num_kept: K, at least 1.

    Returns:
        The best finished captions of each video; the best has at least one word.
    """
    mask = contexts[0][0].mask
    num_videos, device = len(mask), mask.device
    first_row_G1 = torch.arange(num_videos, device=device)[:, None] * num_beams
    tokens_GWS = torch.full((num_videos, num_beams, 1), BOS, device=device)
    score_GW = torch.full((num_videos, num_beams), -torch.inf, device=device)
    score_GW[:, 0] = 0
    best = Finished(
        torch.full((num_videos, num_kept, rules.max_words + 1), PAD, device=device),
        torch.full((num_videos, num_kept), -torch.inf, device=device),
    )
    past = None
    for num_words in range(rules.max_words + 1):
        x_R1D = model.embed(tokens_GWS[:, :, -1].reshape(-1, 1), first=num_words)
        states_R1D, past = decoder(x_R1D, contexts, past)
        log_probs_GWV = model.generator(states_R1D).float().log_softmax(2).view(num_videos, num_beams, -1)
        log_probs_GWV = forbid(log_probs_GWV, tokens_GWS, rules)
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
        tokens_GWS = torch.cat([_of_beams(tokens_GWS, beam_GW), word_GW[:, :, None]], 2)
        past = [keys_values.take((first_row_G1 + beam_GW).flatten()) for keys_values in past]
    return best


def is_settled(best: Finished, score_GW: Tensor, max_words: int, length_penalty: float) -> bool:
    """Whether no continuation of any beam can be among the best: sums fall, and at best are shared by `max_words`."""
    return bool((best.score_GK[:, -1] >= score_GW[:, 0] / max_words**length_penalty).all())


def keep_better(best: Finished, tokens_GWS: Tensor, ended_GW: Tensor) -> Finished:
    """The best of the best captions so far and of those that end now; of equals, those that were there before.

    Args:
        best: The best so far.
        tokens_GWS: Tokens of the beams.
        ended_GW: Their scores if they end here.
    """
    num_kept, num_tokens = best.tokens_GKL.shape[1:]
    score_GX = torch.cat([best.score_GK, ended_GW], 1)
    score_GX, choice_GX = score_GX.sort(dim=1, descending=True, stable=True)
    ended_GWL = nn.functional.pad(tokens_GWS, (0, num_tokens - tokens_GWS.shape[2]), value=PAD)
    tokens_GXL = torch.cat([best.tokens_GKL, ended_GWL], 1)
    return Finished(_of_beams(tokens_GXL, choice_GX[:, :num_kept]), score_GX[:, :num_kept])


def rerank(model: Captioner, frames: list[Context], finished: Finished, length_penalty: float) -> Found:
    """Choose the finished caption that both decoders together find likeliest.

    Args:
        model: Gives embedding, generator and the right-to-left decoder.
        frames: What that decoder attends to, one row a video.
        finished: Captions of the left-to-right decoder with their scores.
        length_penalty: Of those scores; the other direction's are divided alike.

    Returns:
        The chosen captions with their left-to-right scores.
    """
    num_kept = finished.tokens_GKL.shape[1]
    tokens_RL = reverse(finished.tokens_GKL.flatten(0, 1))
    states_RLD, _ = model.decoder_right_to_left(model.embed(tokens_RL), [frames])
    log_probs_RLV = model.generator(states_RLD).float().log_softmax(2)
    length_R1 = (tokens_RL != PAD).sum(1, keepdim=True)
    target_RL = nn.functional.pad(tokens_RL[:, 1:], (0, 1), value=PAD).scatter(1, (length_R1 - 1).clamp(min=0), EOS)
    log_prob_RL = log_probs_RLV.gather(2, target_RL[:, :, None])[:, :, 0].masked_fill(target_RL == PAD, 0)
    # A row without a caption is but <bos>; its score of -inf keeps it from being chosen.
    backward_R = log_prob_RL.sum(1) / (length_R1[:, 0] - 1).clamp(min=1) ** length_penalty
    chosen_G1 = (finished.score_GK + backward_R.view(-1, num_kept)).max(1, keepdim=True).indices
    return Found(_of_beams(finished.tokens_GKL, chosen_G1)[:, 0], finished.score_GK.gather(1, chosen_G1)[:, 0])


def reverse(tokens_RL: Tensor) -> Tensor:
    """Captions with their words turned round: `<bos>` stays in front and the padding behind."""
    length_R1 = (tokens_RL != PAD).sum(1, keepdim=True)
    place_L = torch.arange(tokens_RL.shape[1], device=tokens_RL.device)
    is_word_RL = (place_L > 0) & (place_L < length_R1)
    return tokens_RL.gather(1, torch.where(is_word_RL, length_R1 - place_L, place_L))


def _of_beams(tokens_GWS: Tensor, beam_GX: Tensor) -> Tensor:
    return tokens_GWS.gather(1, beam_GX[:, :, None].expand(-1, -1, tokens_GWS.shape[2]))
