"""Diverse captions by nucleus sampling (Holtzman et al., 2020).

Each next word is drawn from the nucleus, the smallest set of likeliest words whose probability reaches `p`. The random
numbers follow from the seed, the video's id and the number of the sample alone, so that neither the other videos of a
batch nor its size can change a sample.

Shapes: G videos, W samples, R captions of all videos (R = G W), S tokens so far, L tokens at most, V words.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.captioning.step_decoder import State, StepDecoder
from pipeline.captioning.word_rules import WordRules, forbid
from pipeline.config import NucleusSettings
from pipeline.vocabulary import BOS, EOS, PAD


def sample(decoder: StepDecoder[State], ids: Sequence[str], settings: NucleusSettings, rules: WordRules) -> Tensor:
    """Draw captions with one decoder.

    Args:
        decoder: The decoder that gives the next word's log-probabilities.
        ids: Ids of the videos, G of them.
        settings: The nucleus, and the number of captions W to draw for each video.
        rules: The limits that captions must keep to.

    Returns:
        `<bos>` and the words of each caption, padded to the longest one, `[G, W, S]`.
    """
    device = decoder.device
    shape = (len(ids), settings.samples)
    uniform_GWL = draw_uniform(ids, settings, rules.max_words + 1).to(device)
    tokens_GWS = torch.full((*shape, 1), BOS, device=device)
    is_done_GW = torch.zeros(shape, dtype=torch.bool, device=device)
    state = decoder.begin(settings.samples)
    for num_words in range(rules.max_words + 1):
        log_probs_RV, state = decoder.step(tokens_GWS[:, :, -1].flatten(), state)
        log_probs_GWV = forbid(log_probs_RV.view(*shape, -1), tokens_GWS, rules)
        word_GW = choose(log_probs_GWV, uniform_GWL[:, :, num_words], settings.p, settings.temperature)
        is_done_GW = is_done_GW | (word_GW == EOS)
        if bool(is_done_GW.all()):
            break
        tokens_GWS = torch.cat([tokens_GWS, word_GW.masked_fill(is_done_GW, PAD)[:, :, None]], 2)
    return tokens_GWS


def draw_uniform(ids: Sequence[str], settings: NucleusSettings, num_tokens: int) -> Tensor:
    """Draw a number in [0, 1) for each token of each sample of each video: `[G, W, num_tokens]`, float64."""
    drawn = []
    for video_id in ids:
        key = int.from_bytes(hashlib.sha256(video_id.encode()).digest()[:8], "little")
        drawn.append(np.random.default_rng([settings.seed, key]).random((settings.samples, num_tokens)))
    return torch.from_numpy(np.stack(drawn))


def choose(log_probs_GWV: Tensor, uniform_GW: Tensor, p: float, temperature: float) -> Tensor:
    """Choose a word of the nucleus by a number in [0, 1); small numbers stand for likely words.

    Args:
        log_probs_GWV: Log-probabilities of the words; -inf for those that must not be chosen.
        uniform_GW: The number that chooses each word.
        p: Probability that the nucleus must reach.
        temperature: Number that the log-probabilities are divided by before the nucleus is found.

    Returns:
        The chosen words `[G, W]`.
    """
    # Double precision, and one order of summation however many rows there are, keep batches from changing the choice.
    probs_GWV = (log_probs_GWV.double() / temperature).softmax(2)
    sorted_GWV, word_GWV = probs_GWV.sort(dim=2, descending=True, stable=True)
    reached_GWV = sorted_GWV.cumsum(2)
    size_GW = (reached_GWV < p).sum(2).clamp(max=probs_GWV.shape[2] - 1)
    mass_GW = reached_GWV.gather(2, size_GW[:, :, None])[:, :, 0]
    place_GW = (reached_GWV <= (uniform_GW * mass_GW)[:, :, None]).sum(2).minimum(size_GW)
    return word_GWV.gather(2, place_GW[:, :, None])[:, :, 0]
