"""Which words a caption may go on with: no special tokens, not too short, no run of words twice.

Repeated runs are refused as in Paulus et al. (2018, section 2.5). Where the rules leave a caption no word to go on
with, it may end, however short it is: a run is never said twice for the sake of length.

Shapes: G videos, W captions of each, S tokens so far (`<bos>` first), R runs, V words.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.vocabulary import EOS, NEVER_GENERATED, PAD


class WordRules(NamedTuple):
    """What captions must keep to.

    Attributes:
        min_words: Fewest words of a caption; it has one in any case.
        max_words: A caption of so many words must end.
        no_repeat_ngram: No run of so many words occurs twice; 0: it may.
    """

    min_words: int
    max_words: int
    no_repeat_ngram: int


def forbid(log_probs_GWV: Tensor, tokens_GWS: Tensor, rules: WordRules) -> Tensor:
    """Take away the log-probability of what must not come next, in place.

    Args:
        log_probs_GWV: Of the next word.
        tokens_GWS: The captions so far.
        rules: What they must keep to.

    Returns:
        `log_probs_GWV`, -inf where a word or the end is forbidden.
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
    """Forbid each word that ends a run of n words which has been said before."""
    runs_GWRn = words_GWS.unfold(2, n, 1)
    latest_GW1n = words_GWS[:, :, None, words_GWS.shape[2] - (n - 1) :]
    is_again_GWR = (runs_GWRn[..., :-1] == latest_GW1n).all(3)
    # A run that is not under way forbids <pad>, which is forbidden anyway.
    log_probs_GWV.scatter_(2, torch.where(is_again_GWR, runs_GWRn[..., -1], PAD), -torch.inf)
