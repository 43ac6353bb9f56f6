from graphlib import CycleError
from itertools import pairwise

import pytest

from pipeline.report.layout import count_crossings, lay_out, rows_by_longest_way, spaced, without_detours


def test_an_arrow_that_a_longer_way_tells_is_left_out():
    assert without_detours({"c": ["a", "b"], "b": ["a"], "a": []}) == {"a": [], "b": ["a"], "c": ["b"]}


def test_rows_follow_the_longest_way_and_a_box_stands_near_its_readers():
    reads = {"a": [], "late": [], "b": ["a"], "c": ["b"], "d": ["c", "late"]}
    assert rows_by_longest_way(reads) == {"a": 0, "b": 1, "c": 2, "late": 2, "d": 3}


def test_boxes_go_where_they_are_wanted_if_there_is_room():
    assert spaced([0.0, 100.0], [1.0, 1.0], [10.0, 10.0], 5.0) == [0.0, 100.0]


def test_boxes_that_want_one_place_share_it_by_weight():
    # 25 apart: with equal weights each gives way by half of it, and a box of four times the weight by a fifth.
    assert spaced([50.0, 50.0], [1.0, 1.0], [10.0, 10.0], 5.0) == [37.5, 62.5]
    assert spaced([50.0, 50.0], [4.0, 1.0], [10.0, 10.0], 5.0) == [45.0, 70.0]


def test_crossings_are_counted_row_by_row():
    links = [("a", "y"), ("b", "x"), ("x", "end"), ("y", "end")]
    assert count_crossings([["a", "b"], ["x", "y"], ["end"]], links) == 1
    assert count_crossings([["a", "b"], ["y", "x"], ["end"]], links) == 0


def test_crossings_are_undone_and_a_chain_is_straight():
    layout = lay_out({"y": ["a"], "x": ["b"], "end": ["x", "y"], "last": ["end"]}, width=100, gap=20)
    assert [layout.rows[0].index(box) for box in ("a", "b")] == [layout.rows[1].index(box) for box in ("y", "x")]
    assert sorted(layout.centre[box] for box in ("a", "b")) == [50, 170]
    assert (layout.centre["end"], layout.centre["last"], layout.width) == (110, 110, 220)


def test_a_long_arrow_passes_beside_the_boxes_of_the_rows_between():
    layout = lay_out({"b": ["a"], "c": ["b"], "d": ["c"], "e": ["a"], "f": ["e", "d"]}, width=100, gap=20)
    [long] = [arrow for arrow in layout.arrows if len(arrow) > 2]
    assert (long[0], long[-1]) == ("a", "e")  # `e` stands near its reader, and the arrow passes the rows of b and c
    assert [[type(item) for item in row] for row in layout.rows[1:3]] in ([[str, tuple]] * 2, [[tuple, str]] * 2)
    for row in layout.rows:
        for left, right in pairwise(row):
            both = sum(50 if isinstance(item, str) else 10 for item in (left, right))
            assert layout.centre[right] - layout.centre[left] >= both + 20 - 1e-6


def test_a_circle_is_refused():
    with pytest.raises(CycleError):
        lay_out({"a": ["b"], "b": ["a"]}, width=100, gap=20)
