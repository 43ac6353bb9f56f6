import pytest

from pipeline.datasets.positions import first_number, numbers_of, split_at


@pytest.mark.parametrize(
    ("clips", "expected"),
    [
        (["vid2", "vid10"], ("vid", {"vid2": 2, "vid10": 10})),
        (["0007", "8"], ("", {"0007": 7, "8": 8})),
        (["a 1", "b 1"], None),
        (["vid1", "vid01"], None),
        (["vid1", "vid"], None),
        ([], None),
    ],
)
def test_numbers_that_all_ids_end_in(clips, expected):
    assert numbers_of(clips) == expected


def test_numbers_start_at_0_or_1():
    assert first_number([0, 1, 2], 3, None) == 0
    assert first_number([1, 3], 3, None) == 1
    assert first_number([1, 2], 3, 1) == 1
    assert first_number([1, 2], 3, None) is None
    assert first_number([0, 3], 3, 1) is None


def test_test_takes_the_rest():
    assert [split_at(place, {"train": 1, "val": 1, "test": 1}) for place in range(4)] == [
        "train",
        "val",
        "test",
        "test",
    ]
