"""EPIC-Kitchens' accuracy of verbs, nouns and actions: over all clips, those of rare classes, and unseen participants.

An action is a pair of a verb and a noun. The official evaluation (Damen et al., IJCV 2022; epic-kitchens'
C1-Action-Recognition) ranks pairs: the probability of a pair is the product of the softmax of the verbs and of the
softmax of the 100 likeliest nouns, and the best 100 pairs are kept. Every pair may be told, whether it was seen in
training or not. CAST counts an action as right where verb and noun are, each among its best one or five (NeurIPS 2023).

Shapes: N clips, V verbs, K nouns, M nouns that are kept.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.accuracy import rank_of

KEPT = 100  # nouns that make pairs, and pairs that are kept
TOP = (1, 5)
Outputs = NDArray[np.floating]


@dataclass(frozen=True)
class Outcome:
    """What a recognizer makes of one clip.

    Attributes:
        clip: The clip's id, its `narration_id`, which begins with its participant: `P01_101_1`.
        verb, noun: Its classes.
        verb_rank, noun_rank: Their ranks among the verbs and nouns, from 0.
        action_rank: The rank of the pair, from 0; `KEPT` where it is not kept.
    """

    clip: str
    verb: int
    noun: int
    verb_rank: int
    noun_rank: int
    action_rank: int

    @property
    def participant(self) -> str:
        """Who took the video."""
        return self.clip.partition("_")[0]


def action_rank(verb_V: Outputs, noun_K: Outputs, verb: int, noun: int) -> int:
    """The rank of a pair among all pairs, from 0, by the official rule; `KEPT` where it is not among the best.

    Pairs are compared by the sums of their outputs: within a clip they order as the products of softmaxes, because each
    softmax divides by one number, and sums neither underflow nor round apart what is equal. Of pairs, and of nouns,
    that are equally likely, the one with the lower numbers comes first, the verb's before the noun's.

    Args:
        verb_V: Outputs of the verbs, whose softmax is their probability.
        noun_K: Outputs of the nouns.
        verb: The verb of the pair.
        noun: Its noun.
    """
    best_M = np.sort(np.argsort(-noun_K.astype(np.float64), kind="stable")[:KEPT])
    if noun not in best_M:
        return KEPT
    sums_VM = verb_V.astype(np.float64)[:, None] + noun_K.astype(np.float64)[best_M]
    place = verb * len(best_M) + int(np.searchsorted(best_M, noun))
    return min(rank_of(sums_VM.ravel(), place), KEPT)


def outcome_of(clip: str, verb_V: Outputs, noun_K: Outputs, verb: int, noun: int) -> Outcome:
    """The ranks of a clip's verb, noun and action."""
    ranks = rank_of(verb_V, verb), rank_of(noun_K, noun), action_rank(verb_V, noun_K, verb, noun)
    return Outcome(clip, verb, noun, *ranks)


def accuracies(
    outcomes: Sequence[Outcome], tail: Mapping[str, Collection[int]] | None, unseen: Collection[str] | None
) -> dict[str, dict[str, Any] | None]:
    """The accuracies over all clips, over those of tail classes, and over those of unseen participants.

    Args:
        outcomes: The scored clips.
        tail: The rare classes, as `verb` and `noun`; an action is rare if its verb or its noun is. None: not known.
        unseen: The participants of whom training has no video. None: not known.

    Returns:
        For `all`, `tail` and `unseen`, None for a part that is not known: `clips` (their number for `verb`, `noun` and
        `action`), `verb_top1`, `verb_top5`, `noun_top1`, `noun_top5`, `action_top1` and `action_top5` by the official
        rule, `cast_action_top1` and `cast_action_top5` by CAST's; a figure over no clip is None.
    """
    parts: dict[str, dict[str, Any] | None] = {"all": _part(outcomes, outcomes, outcomes), "tail": None, "unseen": None}
    if tail is not None:
        rare = {name: {o for o in outcomes if getattr(o, name) in tail[name]} for name in ("verb", "noun")}
        in_order = [[o for o in outcomes if o in of] for of in (*rare.values(), rare["verb"] | rare["noun"])]
        parts["tail"] = _part(*in_order)
    if unseen is not None:
        own = [o for o in outcomes if o.participant in unseen]
        parts["unseen"] = _part(own, own, own)
    return parts


def _part(verbs: Sequence[Outcome], nouns: Sequence[Outcome], actions: Sequence[Outcome]) -> dict[str, Any]:
    figures: dict[str, Any] = {"clips": {"verb": len(verbs), "noun": len(nouns), "action": len(actions)}}
    for top in TOP:
        figures[f"verb_top{top}"] = _share([o.verb_rank < top for o in verbs])
        figures[f"noun_top{top}"] = _share([o.noun_rank < top for o in nouns])
        figures[f"action_top{top}"] = _share([o.action_rank < top for o in actions])
        figures[f"cast_action_top{top}"] = _share([max(o.verb_rank, o.noun_rank) < top for o in actions])
    return figures


def _share(right: Sequence[bool]) -> float | None:
    return sum(right) / len(right) if right else None
