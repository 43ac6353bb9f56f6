import math

import pytest

from pipeline.video.interval import Interval, beginning


@pytest.mark.parametrize(
    ("start", "stop", "text"),
    [
        (12.5, 20.0, "12.5-20"),
        (0.0, 4.25, "0-4.25"),
        (7, None, "7-"),
        (1234.567891, 100000.25, "1234.567891-100000.25"),
        (1e-7, 1e16, "0.0000001-10000000000000000"),
    ],
)
def test_an_interval_is_written_with_all_its_digits_and_no_exponent(start, stop, text):
    assert str(Interval(start, stop)) == text


@pytest.mark.parametrize(
    ("start", "stop", "message"),
    [
        (-1.0, None, "`start` is -1: expected seconds from the file's beginning, 0 or more"),
        (math.nan, None, "`start` is nan: expected seconds"),
        (0.0, math.inf, "`stop` is inf: expected seconds"),
        (3.0, 3.0, "`start` is 3 and `stop` 3: `stop` must come after `start`"),
        (3.5, 2.0, "`start` is 3.5 and `stop` 2: `stop` must come after `start`"),
    ],
)
def test_what_is_no_interval_is_refused(start, stop, message):
    with pytest.raises(ValueError, match=message):
        Interval(start, stop)


def test_an_interval_as_it_stands_in_a_table():
    assert Interval(1.5, 2.0).as_json() == {"start": 1.5, "stop": 2.0}
    assert Interval(1.5).as_json() == {"start": 1.5}


def test_players_begin_a_file_at_its_first_time_unless_that_is_negative():
    assert [beginning(time) for time in (1_400_000, 0, -23_000, None)] == [1.4, 0, 0, 0]
