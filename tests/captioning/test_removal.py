"""Deletion and insertion curves of a captioner whose every word needs one region."""

import numpy as np

from pipeline.captioning.removal import DRAWS, SHARES, random_of, ranks, removal_curves

NEEDS = np.array([3, 0])  # the region that each of two words needs, of ten


def log_p(kept_KR):
    """0 for a word whose region is there, -1 otherwise."""
    return kept_KR[:, NEEDS] - 1.0


def relevance_of_the_needed():
    relevance_WR = np.zeros((2, 10), np.float32)
    relevance_WR[[0, 1], NEEDS] = 1
    return relevance_WR


def test_a_faithful_map_loses_the_word_at_once_and_wins_it_at_once():
    curves = removal_curves(relevance_of_the_needed(), log_p, random_of(1, "a"))
    assert curves.deleted_WS.tolist() == [[0.0] + [-1.0] * 10] * 2
    assert curves.inserted_WS.tolist() == [[-1.0] + [0.0] * 10] * 2


def test_the_opposite_map_keeps_the_word_to_the_end():
    curves = removal_curves(-relevance_of_the_needed(), log_p, random_of(1, "a"))
    assert curves.deleted_WS.tolist() == [[0.0] * 10 + [-1.0]] * 2
    assert curves.inserted_WS.tolist() == [[-1.0] * 10 + [0.0]] * 2


def test_random_removal_is_a_mean_over_orders_that_are_the_same_for_all_words():
    both = np.array([0, 0])
    curves = removal_curves(np.zeros((2, 10)), lambda kept_KR: kept_KR[:, both] - 1.0, random_of(1, "a"))
    assert (curves.random_WS[0] == curves.random_WS[1]).all()
    assert curves.random_WS[0, 0] == 0
    assert curves.random_WS[0, -1] == -1
    assert (np.diff(curves.random_WS[0]) <= 0).all()
    assert np.allclose(curves.random_WS * DRAWS, np.round(curves.random_WS * DRAWS))


def test_equally_relevant_regions_stand_in_a_random_order():
    orders = {tuple(ranks(np.zeros(5), random_of(1, name))) for name in "abcdef"}
    assert len(orders) > 3
    assert all(sorted(order) == list(range(5)) for order in orders)
    assert ranks(np.array([0.0, 2.0, 1.0]), random_of(1, "a")).tolist() == [2, 0, 1]


def test_random_numbers_depend_on_seed_and_video_alone():
    assert random_of(1, "a").random() == random_of(1, "a").random()
    assert random_of(1, "a").random() != random_of(2, "a").random()


def test_a_caption_without_words_has_no_curves():
    def never(kept_KR):
        raise AssertionError(kept_KR)

    curves = removal_curves(np.zeros((0, 4)), never, random_of(1, "a"))
    assert all(rows.shape == (0, len(SHARES)) for rows in curves)
