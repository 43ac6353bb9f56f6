import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.recognition.grouping import (
    confused,
    confusion_of,
    consecutive,
    group_names,
    listed,
    require_clips,
    require_division,
)

NAMES = ["run", "walk", "fall", "sit"]  # in alphabetical order: fall, run, sit, walk


def test_consecutive_groups_differ_by_one_class_at_most():
    assert consecutive(8, 3) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert consecutive(4, 1) == [[0, 1, 2, 3]]


def test_a_file_lists_names_or_places_in_the_alphabetical_order():
    assert listed([["walk", "fall"], ["run", "sit"]], NAMES) == [[1, 2], [0, 3]]
    assert listed([[3, 0], [1, 2]], NAMES) == [[1, 2], [0, 3]]


@pytest.mark.parametrize("content", [{"run": 0}, [["run"], "walk"], [["jump"]], [[4]], [[-1]], [[True]], [[1.0]]])
def test_what_lists_no_classes_is_refused(content):
    with pytest.raises(ValueError, match=r"expected a list of groups|is none of the 4 classes"):
        listed(content, NAMES)


def test_classes_that_are_confused_are_together():
    """0 and 3 are taken for each other, in one direction, and so are 1 and 4, and 2 and 5."""
    confusion = np.zeros((6, 6))
    confusion[0, 3], confusion[4, 1], confusion[2, 5] = 0.5, 0.3, 0.2
    np.fill_diagonal(confusion, 0.9)  # what is right counts for nothing
    assert confused(confusion, 3) == [[0, 3], [1, 4], [2, 5]]
    assert sorted(map(len, confused(confusion, 4))) == [1, 1, 2, 2]


def test_sizes_are_equal_even_where_one_class_is_taken_for_all():
    confusion = np.random.default_rng(1).random((11, 11))
    confusion[0] += 10
    assert sorted(map(len, confused(confusion, 3))) == [3, 4, 4]


def test_no_exchange_of_two_classes_gains_anything():
    between = np.random.default_rng(2).random((9, 9))
    groups = confused(between, 3)
    of = {one: number for number, group in enumerate(groups) for one in group}
    inside = sum(between[a, b] for a in range(9) for b in range(9) if a != b and of[a] == of[b])
    for a in range(9):
        for b in range(9):
            changed = of | {a: of[b], b: of[a]}
            other = sum(between[c, d] for c in range(9) for d in range(9) if c != d and changed[c] == changed[d])
            assert other <= inside + 1e-9


def test_confusion_is_the_mean_probability_over_views_and_clips():
    clips = [(0, np.log([[0.5, 0.5], [0.7, 0.3]])), (0, np.log([[0.8, 0.2]]))]
    assert confusion_of(clips, 2) == pytest.approx(np.array([[0.7, 0.3], [0.0, 0.0]]))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([[0, 1], [2, 1, 3]], "f.json: class 'walk' is in group 0 and in group 1"),
        ([[0, 1], [2]], "f.json: 1 of 4 classes are in no group, such as 'sit'"),
        ([[0, 1, 2, 3], []], "f.json: group 1 has no class"),
    ],
)
def test_groups_that_are_no_division_are_refused(groups, message):
    with pytest.raises(PipelineError, match=message):
        require_division(groups, NAMES, "f.json")


def test_a_group_without_clips_of_two_classes_is_refused():
    require_clips([[0, 1], [2, 3]], NAMES, {0: 1, 1: 2, 2: 1, 3: 4}, "f.json")
    with pytest.raises(PipelineError, match=r"group 1 \('fall' and 1 more\) has training clips none at all"):
        require_clips([[0, 1], [2, 3]], NAMES, {0: 1, 1: 2}, "f.json")
    with pytest.raises(PipelineError, match=r"group 0 .* has training clips of one class alone, 'walk'"):
        require_clips([[0, 1], [2, 3]], NAMES, {1: 2, 2: 1, 3: 4}, "f.json")


def test_a_group_is_called_by_its_first_classes():
    assert group_names([[0, 1, 2], [3]], NAMES) == ["0: run, walk and 1 more", "1: sit"]
