"""EPIC-Kitchens' ranks of actions, beside the official rule written out plainly."""

import math

import numpy as np
import pytest

from pipeline.scoring.accuracy import rank_of
from pipeline.scoring.epic import KEPT, Outcome, accuracies, action_rank, outcome_of


def best_pairs(verb_V, noun_K):
    """The 100 best pairs, written out: softmax of the verbs times softmax of the 100 likeliest nouns."""
    nouns = sorted(range(len(noun_K)), key=lambda n: (-noun_K[n], n))[:100]
    of_verbs = [math.exp(float(x)) for x in verb_V]
    of_nouns = {n: math.exp(float(noun_K[n])) for n in nouns}
    pairs = {
        (v, n): of_verbs[v] / sum(of_verbs) * (of_nouns[n] / sum(of_nouns.values()))
        for v in range(len(verb_V))
        for n in nouns
    }
    return sorted(pairs, key=lambda pair: (-pairs[pair], pair))[:100]


def test_ranks_of_random_outputs_are_those_of_the_rule_written_out():
    rng = np.random.default_rng(3)
    ranks = set()
    for _ in range(6):
        verb_V, noun_K = rng.normal(0, 2, 97).astype(np.float32), rng.normal(0, 2, 300).astype(np.float32)
        best = best_pairs(verb_V, noun_K)
        for verb, noun in [*best[:7], best[40], best[99], (96, int(noun_K.argmin())), (int(verb_V.argmin()), 5)]:
            expected = best.index((verb, noun)) if (verb, noun) in best else KEPT
            assert action_rank(verb_V, noun_K, verb, noun) == expected
            ranks.add(expected)
    assert {0, 1, 5, 99, KEPT} <= ranks


def test_equal_outputs_rank_by_number_as_the_rule_written_out_does():
    """Verbs of two values, nouns of two others: thousands of pairs are equally likely."""
    rng = np.random.default_rng(4)
    for _ in range(4):
        verb_V, noun_K = rng.integers(0, 2, 97).astype(np.float32), rng.choice([0.0, 0.5], 300).astype(np.float32)
        best = best_pairs(verb_V, noun_K)
        for place in (0, 1, 4, 5, 50, 99):
            assert action_rank(verb_V, noun_K, *best[place]) == place
    assert action_rank(np.zeros(97), np.zeros(300), 0, 99) == 99
    assert action_rank(np.zeros(97), np.zeros(300), 1, 0) == KEPT  # the hundred pairs of verb 0 come before
    assert action_rank(np.zeros(97), np.zeros(300), 0, 100) == KEPT  # and noun 100 is not kept


def test_ranks_of_outputs_whose_products_would_be_nothing():
    """exp(-900) is 0 in any float: of products, both pairs would be equal."""
    assert action_rank(np.array([0.0, -900.0]), np.array([0.0, -900.0, -901.0]), 1, 2) == 5
    assert action_rank(np.array([0.0, -900.0]), np.array([0.0, -900.0, -901.0]), 1, 1) == 4


def test_both_best_is_the_first_action_and_ranks_of_heads_are_those_of_all_scores():
    verb_V, noun_K = np.array([0.0, 3.0, 2.0]), np.array([1.0, 0.0, 5.0, 4.0])
    assert outcome_of("P01_01_0", verb_V, noun_K, 1, 2) == Outcome("P01_01_0", 1, 2, 0, 0, 0)
    # sums: (1, 2) 8, (1, 3) 7, (2, 2) 7, (2, 3) 6, (0, 2) 5, ...
    assert [outcome_of("c", verb_V, noun_K, *pair).action_rank for pair in ((1, 3), (2, 2), (2, 3))] == [1, 2, 3]
    assert outcome_of("c", verb_V, noun_K, 2, 0).noun_rank == rank_of(noun_K, 0) == 2


@pytest.fixture
def outcomes():
    return [
        Outcome("P01_01_0", verb=0, noun=0, verb_rank=0, noun_rank=0, action_rank=0),
        Outcome("P01_01_1", verb=0, noun=9, verb_rank=0, noun_rank=4, action_rank=5),
        Outcome("P18_01_0", verb=7, noun=9, verb_rank=5, noun_rank=0, action_rank=KEPT),
        Outcome("P180_1_0", verb=7, noun=1, verb_rank=4, noun_rank=1, action_rank=4),
    ]


def test_accuracies_of_all_tail_and_unseen_by_hand(outcomes):
    parts = accuracies(outcomes, {"verb": {7}, "noun": {9}}, {"P18"})
    assert parts["all"] == {
        "clips": {"verb": 4, "noun": 4, "action": 4},
        "verb_top1": 0.5, "verb_top5": 0.75, "noun_top1": 0.5, "noun_top5": 1.0,
        "action_top1": 0.25, "action_top5": 0.5, "cast_action_top1": 0.25, "cast_action_top5": 0.75,
    }  # fmt: skip
    tail = parts["tail"]
    assert tail["clips"] == {"verb": 2, "noun": 2, "action": 3}  # a rare action has a rare verb or a rare noun
    assert (tail["verb_top1"], tail["verb_top5"], tail["noun_top1"], tail["noun_top5"]) == (0, 0.5, 0.5, 1)
    assert (tail["action_top1"], tail["action_top5"]) == (0, pytest.approx(1 / 3))
    assert (tail["cast_action_top1"], tail["cast_action_top5"]) == (0, pytest.approx(2 / 3))
    assert parts["unseen"]["clips"] == {"verb": 1, "noun": 1, "action": 1}
    assert (parts["unseen"]["noun_top1"], parts["unseen"]["action_top5"]) == (1, 0)


def test_parts_that_are_not_known_or_hold_no_clip(outcomes):
    parts = accuracies(outcomes, None, None)
    assert (parts["tail"], parts["unseen"]) == (None, None)
    empty = accuracies(outcomes, {"verb": set(), "noun": {200}}, {"P99"})
    assert empty["unseen"]["action_top1"] is None
    assert empty["tail"]["clips"] == {"verb": 0, "noun": 0, "action": 0}
