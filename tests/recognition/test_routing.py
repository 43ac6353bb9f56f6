"""Rules written out: two groups, of classes 0 and 1 and of class 2 and 3, and views whose probabilities are told."""

import numpy as np
import pytest

from pipeline.recognition.routing import RULES, routed, told_group
from pipeline.recognition.views import merge, softmax

OF_CLASS = [0, 0, 1, 1]


def logits(shares):
    return np.log(np.array(shares)).astype(np.float32)


# The selector says group 0 in the first view and, by a little, group 1 in the second; on average group 0.
SELECTOR = logits([[0.8, 0.2], [0.4, 0.6]])
EXPERTS = logits(
    [
        [[0.2, 0.3, 0.4, 0.1], [0.1, 0.1, 0.6, 0.2]],
        [[0.6, 0.2, 0.1, 0.1], [0.3, 0.1, 0.15, 0.45]],
    ]
)


def shares(rule):
    return merge(routed(SELECTOR, EXPERTS, OF_CLASS, rule), "softmax")


def test_each_view_goes_to_the_expert_of_its_own_group():
    """Expert 0 tells the first view, expert 1 the second: [.2 .3 .4 .1] and [.3 .1 .15 .45]."""
    assert shares("view") == pytest.approx([0.25, 0.2, 0.275, 0.275], abs=1e-6)


def test_all_views_go_to_the_expert_of_the_likeliest_group():
    """0.8 and 0.4 are more than 0.2 and 0.6, so expert 0 tells both."""
    assert told_group(SELECTOR) == 0
    assert shares("clip") == pytest.approx([0.4, 0.25, 0.25, 0.1], abs=1e-6)


def test_the_product_of_group_and_class_within_the_group():
    """First view: 0.8 x (2/5, 3/5) and 0.2 x (6/8, 2/8); second: 0.4 x (6/8, 2/8) and 0.6 x (1/4, 3/4)."""
    first = [0.8 * 0.4, 0.8 * 0.6, 0.2 * 0.75, 0.2 * 0.25]
    second = [0.4 * 0.75, 0.4 * 0.25, 0.6 * 0.25, 0.6 * 0.75]
    found = softmax(routed(SELECTOR, EXPERTS, OF_CLASS, "product"))
    assert found == pytest.approx(np.array([first, second]), abs=1e-6)
    assert found.sum(1) == pytest.approx([1, 1])


def test_what_an_expert_says_of_classes_of_other_groups_does_not_count_in_the_product():
    other = EXPERTS.copy()
    other[:, 0, 2:] += 7
    other[:, 1, :2] -= 5
    assert np.array_equal(routed(SELECTOR, other, OF_CLASS, "product"), routed(SELECTOR, EXPERTS, OF_CLASS, "product"))


def test_groups_need_not_follow_one_another():
    order = [2, 0, 3, 1]
    moved = routed(SELECTOR, EXPERTS[:, :, order], [OF_CLASS[one] for one in order], "product")
    assert np.allclose(moved, routed(SELECTOR, EXPERTS, OF_CLASS, "product")[:, order])


def test_a_wrong_expert_may_still_be_right():
    """The first view goes to expert 0, which says class 2, of the other group."""
    assert routed(SELECTOR, EXPERTS, OF_CLASS, "view")[0].argmax() == 2


@pytest.mark.parametrize("rule", RULES)
def test_with_one_group_the_logits_are_those_of_its_expert_to_the_last_bit(rule):
    rng = np.random.default_rng(0)
    selector, expert = (rng.normal(0, 30, shape).astype(np.float32) for shape in ((6, 1), (6, 1, 5)))
    found = routed(selector, expert, [0] * 5, rule)
    assert np.array_equal(found, expert[:, 0])
    assert np.array_equal(merge(found, "softmax"), merge(expert[:, 0], "softmax"))


def test_a_sure_selector_does_not_overflow():
    found = routed(np.array([[900.0, -900.0]], np.float32), EXPERTS[:1], OF_CLASS, "product")
    assert softmax(found)[0] == pytest.approx([0.4, 0.6, 0, 0])
