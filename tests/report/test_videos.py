"""The best system in a sentence, the three clips of the top, and the rows of the videos."""

import pytest

from pipeline.report.videos import describe_videos, extremes, floor_reached, headline, mistakes


def row(name, cider):
    return {"experiment": name, "cells": {"CIDEr": {"value": cider, "interval": None}}}


def test_the_extremes_are_the_worst_the_median_and_the_best():
    scored = {"a": 2.0, "b": 0.5, "c": 9.0, "d": 3.0, "e": 0.5}
    assert extremes(scored) == {"worst": "b", "median": "a", "best": "c"}
    assert extremes({"a": 1.0, "b": 2.0}) == {}
    assert extremes({"a": 1.0, "b": 1.0, "c": 1.0}) == {}  # nothing is worse than anything


@pytest.mark.parametrize(
    ("interval", "verdict"), [((0.1, 0.3), "more than chance"), ((-0.1, 0.5), "within chance"), (None, "")]
)
def test_the_best_system_and_how_far_the_next_one_is(interval, verdict):
    pair = {"one": "better", "other": "plain", "cells": {"CIDEr": (0.2, interval)}}
    told = headline([row("plain", 1.0), row("worst", 0.1), row("better", 1.2)], [pair])
    assert (told["best"]["experiment"], told["next"]["experiment"]) == ("better", "plain")
    assert (told["value"], told["interval"], told["verdict"]) == (0.2, interval, verdict)


def test_a_difference_the_other_way_round_is_turned():
    pair = {"one": "plain", "other": "better", "cells": {"CIDEr": (-0.2, (-0.3, -0.1))}}
    told = headline([row("plain", 1.0), row("better", 1.2)], [pair])
    assert (told["value"], told["interval"], told["verdict"]) == (0.2, (0.1, 0.3), "more than chance")


def test_the_best_by_another_metric():
    rows = [{"experiment": name, "cells": {"top1": {"value": value}}} for name, value in (("a", 0.5), ("b", 0.75))]
    told = headline(rows, [{"one": "a", "other": "b", "cells": {"top1": (-0.25, (-0.4, -0.1))}}], "top1")
    assert (told["best"]["experiment"], told["value"], told["verdict"]) == ("b", 0.25, "more than chance")


def test_the_highest_floor_that_the_best_is_not_above_is_named():
    floors = [row("", value) | {"kind": "floor", "words": f"f{value}"} for value in (0.2, 0.6, 0.5)]
    bounds = [*floors, row("", 2.0) | {"kind": "ceiling", "words": "people"}]
    assert floor_reached(headline([row("a", 0.5), row("b", 0.1)], []), bounds) == "f0.6"
    assert floor_reached(headline([row("a", 0.7)], []), bounds) is None
    assert floor_reached(headline([row("a", 0.7)], []), []) is None
    assert floor_reached(None, bounds) is None


def test_one_experiment_is_compared_with_none():
    assert headline([], []) is None
    told = headline([row("only", 1.0)], [])
    assert (told["best"]["experiment"], told["next"], told["verdict"]) == ("only", None, "")


def test_each_video_has_its_captions_scores_and_mishaps():
    described = {
        "ids": ["a", "b"],
        "predictions": {"one": {"a": "x"}, "two": {"a": "", "b": "y"}},
        "references": {"a": ["r"]},
    }
    scores = {"one": {"cider_by_video": {"a": 1.23456}}, "two": {}}
    media = {"a": {"clip": "media/d/a.mp4", "poster": "media/d/a.jpg"}}
    rows = describe_videos(described, scores, media, {"b": "empty"}, {"a": "damaged"})
    assert rows == [
        {
            "id": "a",
            "captions": ["x", ""],
            "cider": [1.2346, None],
            "references": ["r"],
            "clip": "media/d/a.mp4",
            "poster": "media/d/a.jpg",
            "suspect": "damaged",
        },
        {
            "id": "b",
            "captions": [None, "y"],
            "cider": [None, None],
            "references": [],
            "left_out": "empty",
        },
    ]


def test_what_a_caption_of_shapes_says_wrongly():
    references = ["a red circle is moving to the left", "The red circle is moving to the left."]
    assert mistakes("a red circle is moving to the left", references) == []
    assert mistakes("a blue circle", references) == ["colour", "action"]
    assert mistakes("a red square is moving to the left", [*references, "a red square"]) == []  # they disagree
    assert mistakes(None, references) == []
