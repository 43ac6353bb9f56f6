from collections import Counter
from itertools import pairwise

from pipeline.recognition.few_shot import few_shot

LABELS = {f"c{number}": number % 3 for number in range(40)} | {"lonely": 3}
IDS = sorted(LABELS)


def test_k_clips_of_each_class():
    chosen = few_shot(LABELS, IDS, 4, seed=1)
    assert Counter(LABELS[clip] for clip in chosen) == {0: 4, 1: 4, 2: 4, 3: 1}
    assert chosen == sorted(set(chosen))


def test_fewer_are_among_more():
    subsets = [set(few_shot(LABELS, IDS, k, seed=1)) for k in (1, 2, 5, 10, 100)]
    assert all(small < large for small, large in pairwise(subsets))
    assert subsets[-1] == set(IDS)


def test_the_choice_is_one_seeds_and_not_that_of_an_order():
    chosen = few_shot(LABELS, IDS, 2, seed=1)
    assert few_shot(LABELS, reversed(IDS), 2, seed=1) == chosen
    assert few_shot(LABELS, IDS, 2, seed=2) != chosen
    assert few_shot({"b": 0, "a": 0, "x": 1}, ["b", "a", "x"], 1, seed=1) == few_shot(
        {"a": 0, "b": 0, "x": 1, "y": 1}, ["x", "a", "b"], 1, seed=1
    )
    assert few_shot({"a": 0, "b": 0, "c": 0}, ["a", "b", "c"], 1, seed=1) == ["b"]  # as long as the hash is this one
