"""Lines about progress: what is written into logs is what is read from them."""

import logging

import pytest

from pipeline.jobs import progress
from pipeline.jobs.progress import Told, duration, pace, told_by, track


class Clock:
    """A clock that the work moves on."""

    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def work(clock, caplog, seconds, **options):
    """Track ten pieces of work that take so many seconds each; the lines."""
    caplog.set_level(logging.INFO, "pipeline.jobs.progress")
    for _ in track(range(10), 10, "decode_frames", **options):
        clock.now += seconds
    return caplog.messages


def test_lines_come_after_a_second_and_then_every_five(clock, caplog):
    assert work(clock, caplog, 1.0) == [
        "decode_frames: 1 of 10 (10 %), 1/s, 9 s left",
        "decode_frames: 6 of 10 (60 %), 1/s, 4 s left",
        "decode_frames: 10 of 10 done in 10.0 s",
    ]


def test_what_an_earlier_call_has_done_counts_and_not_in_the_rate(clock, caplog):
    assert work(clock, caplog, 4.0, before=30)[0] == "decode_frames: 31 of 40 (77 %), 4 s each, 36 s left"


def test_short_work_has_its_last_line_alone(clock, caplog):
    assert work(clock, caplog, 0.01) == ["decode_frames: 10 of 10 done in 0.1 s"]


def test_the_last_line_of_progress_is_read_back(clock, caplog):
    text = "\n".join([*work(clock, caplog, 1.0)[:2], "left out: a.mp4: it is empty"])
    told = told_by(f"f a line that was cut\n{text}\n")
    assert told == Told("decode_frames", 6, 10, "1/s", 4.0)
    assert told.words() == "6 of 10 (60 %), 1/s, 4 s left"


def test_the_epochs_of_a_training_are_progress():
    told = told_by("train_captioner: epoch 12 of 60: loss 1.5, CIDEr 2.1, 30.5 s\n")
    assert told == Told("train_captioner, epochs", 12, 60, "30 s each", 48 * 30.5)
    assert told.words() == "12 of 60 (20 %), 30 s each, 24 min left"


@pytest.mark.parametrize(
    "text", ["", "no GPU here\n", "decode_frames: 3 of 10 done in 2.0 s\n", "a: 1 of 2 (50 %), 3/s\n"]
)
def test_other_lines_tell_nothing(text):
    assert told_by(text) is None


def test_paces_and_durations_have_a_unit_that_fits():
    assert [pace(seconds) for seconds in (0.032, 0.5, 1.0, 12.0, 400.0)] == [
        "31.2/s",
        "2/s",
        "1/s",
        "12 s each",
        "7 min each",
    ]
    assert [duration(seconds) for seconds in (0.2, 59.0, 99.0, 100.0, 5940.0, 6060.0, 12000.0, 2e5)] == [
        "0 s",
        "59 s",
        "99 s",
        "2 min",
        "99 min",
        "1 h 41 min",
        "3 h 20 min",
        "2 d 7 h",
    ]
