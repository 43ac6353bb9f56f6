"""Rules for the next word of a caption: no special tokens, no end before the least length, no run of words twice.

Repeated runs are refused as in Paulus et al. (2018, section 2.5). A caption that the rules leave no next word may end,
however short it is: length is no reason to repeat a run.

Shapes: G videos, W captions of each, S tokens so far (`<bos>` first), R runs, V words.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.vocabulary import EOS, NEVER_GENERATED, PAD


class WordRules(NamedTuple):
    """Limits on the words of a caption.

    Attributes:
        min_words: Least number of words. A caption has at least one word even if this is 0.
        max_words: Largest number of words: a caption of this length must end.
        no_repeat_ngram: Length of the runs of words that must not occur twice; 0 allows all repetitions.
    """

    min_words: int
    max_words: int
    no_repeat_ngram: int


def forbid(log_probs_GWV: Tensor, tokens_GWS: Tensor, rules: WordRules) -> Tensor:
    """Set the log-probability of each forbidden next token to -inf, in place.

    Args:
        log_probs_GWV: Log-probabilities of the next token.
        tokens_GWS: Tokens of the captions so far.
        rules: The limits that apply.

    Returns:
        `log_probs_GWV` itself, with -inf where a word or the end is forbidden.
    """
    num_words = tokens_GWS.shape[2] - 1
    is_short = num_words < max(1, rules.min_words)
    ended_GW = log_probs_GWV[:, :, EOS].clone()
    log_probs_GWV[:, :, NEVER_GENERATED] = -torch.inf
    if is_short:
        log_probs_GWV[:, :, EOS] = -torch.inf
    if rules.no_repeat_ngram and num_words >= rules.no_repeat_ngram:
        _forbid_repeats(log_probs_GWV, tokens_GWS[:, :, 1:], rules.no_repeat_ngram)
        if is_short:
            is_stuck_GW = log_probs_GWV.amax(2) == -torch.inf
            log_probs_GWV[:, :, EOS] = torch.where(is_stuck_GW, ended_GW, -torch.inf)
    if num_words >= rules.max_words:
        log_probs_GWV[:, :, :EOS] = -torch.inf
        log_probs_GWV[:, :, EOS + 1 :] = -torch.inf
    return log_probs_GWV


def _forbid_repeats(log_probs_GWV: Tensor, words_GWS: Tensor, n: int) -> None:
    """Forbid, in place, each word that would complete a run of n words that the caption already has."""
    runs_GWRn = words_GWS.unfold(2, n, 1)
    latest_GW1n = words_GWS[:, :, None, words_GWS.shape[2] - (n - 1) :]
    is_again_GWR = (runs_GWRn[..., :-1] == latest_GW1n).all(3)
    # A run that does not start like the latest words stands for <pad> here, which is forbidden anyway.
    log_probs_GWV.scatter_(2, torch.where(is_again_GWR, runs_GWRn[..., -1], PAD), -torch.inf)
