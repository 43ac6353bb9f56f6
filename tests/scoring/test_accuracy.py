import numpy as np
import pytest

from pipeline.scoring.accuracy import Hits, hits_from_json, rank_of, share_interval
from pipeline.scoring.bootstrap import Estimate, estimate, estimate_difference

# Four clips of three classes: the ranks of their labels are 0, 1, 0 and 5 (of six).
ONE = Hits(("a", "b", "c", "d"), {"class": 6}, np.array([[0], [0], [1], [5]]), np.array([[0], [1], [0], [5]]))
TWO = Hits(("a", "b"), {"noun": 2, "verb": 3}, np.array([[0, 2], [1, 1]]), np.array([[0, 0], [0, 2]]))


def test_one_head_by_hand():
    """Two of four are right; class 0 half of the time, class 1 always, class 5 never, and the others have no clip."""
    assert ONE.scores() == {"top1": 0.5, "top5": 0.75, "mean_class": pytest.approx((0.5 + 1 + 0) / 3)}


def test_two_heads_by_hand():
    assert TWO.scores() == {
        "noun_top1": 1, "noun_top5": 1, "noun_mean_class": 1,
        "verb_top1": 0.5, "verb_top5": 1, "verb_mean_class": 0.5, "all_top1": 0.5,
    }  # fmt: skip


def test_draws_by_hand():
    """Clip a thrice and d once; and b four times, of which none is right."""
    found = ONE.scores_of_draws(np.array([[3, 0, 0, 1], [0, 4, 0, 0]]))
    assert found.tolist() == [[0.75, 0.75, 0.5], [0, 1, 0]]


def test_they_come_back_from_json():
    for hits in (ONE, TWO):
        again = hits_from_json(hits.to_json())
        assert again.scores() == hits.scores()
        assert again.ids == hits.ids
    assert ONE.of(("c", "a")).scores()["top1"] == 1


def test_the_bootstrap_gives_intervals_and_paired_differences():
    """Of forty clips the one gets all right that the other gets right, and five more."""
    ids = tuple(f"{i:02d}" for i in range(40))
    labels = np.arange(40)[:, None] % 2
    few = Hits(ids, {"class": 2}, labels, (np.arange(40) >= 20).astype(int)[:, None])
    more = Hits(ids, {"class": 2}, labels, (np.arange(40) >= 25).astype(int)[:, None])
    own = estimate([few], 400)["top1"]
    assert own.value == 0.5
    assert own.interval is not None
    assert own.interval[0] == pytest.approx(0.5 - 1.96 * 0.079, abs=0.02)
    difference = estimate_difference([more], [few], 400)["top1"]
    assert difference.value == pytest.approx(0.125)
    assert difference.sign == 1
    assert estimate([ONE], 50)["mean_class"] == Estimate(pytest.approx(0.5), None)


def test_ranks_of_equal_scores_are_those_of_the_best_class_told():
    scores = np.array([1.0, 3.0, 3.0, 0.0])
    assert [rank_of(scores, label) for label in range(4)] == [2, 0, 1, 3]
    assert int(scores.argmax()) == 1


def test_intervals_of_shares_are_wilsons():
    """As in Newcombe (1998): 15 of 148, 0.0624 to 0.1605; 0 of 20, 0 to 0.1611."""
    assert share_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert share_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert share_interval(20, 20)[1] == 1.0
