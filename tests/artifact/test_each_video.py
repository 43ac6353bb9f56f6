"""Making one toy store from others: the order of commits, what is carried on, and what a second run computes."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.artifact import Artifact, create, read
from pipeline.artifact.each_video import VideoRows, as_features, each_video, fits_half, missing, videos_together
from pipeline.artifact.writing import Writer
from pipeline.errors import PipelineError, VideoError
from pipeline.schemas import ArraySpec, Schema

THINGS = Schema("things", 1, "build_vocabulary", {"x": ArraySpec("f2", ("row", "column"))})
OTHERS = Schema("others", 1, "build_vocabulary", {"x": ArraySpec("f2", ("row", "column"))})


def start(path: Path, ids: str) -> Writer:
    return create(path, THINGS, ids=list(ids), stage="build_vocabulary", settings={}, inputs={})


def rows_of(video_id: str) -> dict[str, np.ndarray]:
    """One row: the letter's place in the alphabet."""
    return {"x": np.array([[ord(video_id) - ord("a")]], np.float16)}


def values(store: Artifact) -> dict[str, float]:
    return {video_id: float(store.video(video_id)["x"][0, 0]) for video_id in store.ids}


def write(path: Path, schema: Schema, ids: str, failed: dict[str, str]) -> Artifact:
    everything = [*ids, *failed]
    with create(path, schema, ids=everything, stage="build_vocabulary", settings={}, inputs={}) as writer:
        each_video(writer, failed, rows_of)
    return read(path, schema)


def test_a_video_is_computed_committed_or_recorded_in_its_turn(tmp_path, capsys):
    def compute(video_id: str) -> dict[str, np.ndarray]:
        if video_id == "c":
            raise VideoError("it has no frame")
        return rows_of(video_id)

    with start(tmp_path / "s.zarr", "abcd") as writer:
        each_video(writer, {"b": "the file is empty", "z": "of another store"}, compute)
    made = read(tmp_path / "s.zarr", THINGS)
    assert values(made) == {"a": 0, "d": 3}
    assert made.failed == {"b": "the file is empty", "c": "it has no frame"}
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["left out: b: the file is empty", "left out: c: it has no frame"]
    assert lines[2].startswith("build_vocabulary: 4 of 4 done in ")


def test_an_error_that_is_not_the_videos_stops_the_run_and_keeps_what_was_committed(tmp_path, capsys):
    computed = []

    def compute(video_id: str) -> dict[str, np.ndarray]:
        computed.append(video_id)
        if video_id == "c" and computed.count("c") == 1:
            raise PipelineError("the disk is full")
        return rows_of(video_id)

    with pytest.raises(PipelineError, match="the disk is full"), start(tmp_path / "s.zarr", "abcd") as writer:
        each_video(writer, {"b": "bad"}, compute)
    with start(tmp_path / "s.zarr", "abcd") as writer:
        each_video(writer, {"b": "bad"}, compute)
    assert computed == ["a", "c", "c", "d"]
    assert values(read(tmp_path / "s.zarr", THINGS)) == {"a": 0, "c": 2, "d": 3}
    assert "continuing after 2 of 4 videos" in capsys.readouterr().err


def test_videos_computed_together_get_their_own_rows_and_suspicion(tmp_path):
    asked = []

    def compute(ids):
        asked.extend(ids)
        together = [rows_of(video_id) for video_id in ids]
        suspect = {"c": "the last packet is cut off"}
        for video_id, rows in zip(ids, together, strict=True):
            yield VideoError("no picture") if video_id == "d" else VideoRows(rows, suspect.get(video_id))

    with start(tmp_path / "s.zarr", "abcde") as writer:
        videos_together(writer, {"b": "bad"}, compute)
    made = read(tmp_path / "s.zarr", THINGS)
    assert asked == ["a", "c", "d", "e"]
    assert values(made) == {"a": 0, "c": 2, "e": 4}
    assert made.failed == {"b": "bad", "d": "no picture"}
    assert made.suspect == {"c": "the last packet is cut off"}


def test_what_computes_is_ended_before_the_store_is_published_and_when_a_commit_fails(tmp_path):
    events = []

    def compute(ids):
        try:
            for video_id in ids:
                yield VideoRows(rows_of(video_id))
            events.append("all")
        finally:
            events.append("ended")

    with start(tmp_path / "s.zarr", "ab") as writer:
        videos_together(writer, {}, compute)
        assert events == ["all", "ended"]
    events.clear()
    with start(tmp_path / "t.zarr", "ab") as writer:
        writer.append("a", x=np.zeros((1, 5)))  # rows of 5 columns: those of 1 column do not fit
        with pytest.raises(ValueError, match="others have"):
            videos_together(writer, {}, compute)
        assert events == ["ended"]
        writer.fail("b", "to end the test")


@pytest.mark.parametrize("num", [1, 3])
def test_outcomes_must_be_as_many_as_videos(tmp_path, num):
    def compute(ids):
        yield from [VideoRows(rows_of("a"))] * num

    with pytest.raises(ValueError, match="zip"), start(tmp_path / "s.zarr", "ab") as writer:
        videos_together(writer, {}, compute)
    assert not (tmp_path / "s.zarr").exists()


def test_nothing_is_computed_for_a_store_that_is_complete(tmp_path):
    first = write(tmp_path / "s.zarr", THINGS, "ab", {"c": "bad"})
    with start(tmp_path / "s.zarr", "abc") as writer:
        each_video(writer, {"c": "bad"}, lambda video_id: pytest.fail(f"{video_id} was computed again"))
    assert read(tmp_path / "s.zarr", THINGS).digest == first.digest


def test_a_video_that_an_input_lacks_has_the_reason_that_was_given_first(tmp_path):
    first = write(tmp_path / "first.zarr", THINGS, "ad", {"b": "cannot be opened", "c": "cut off"})
    second = write(tmp_path / "second.zarr", OTHERS, "ace", {"b": "no frames"})
    assert missing([first, second]) == {
        "b": "cannot be opened",
        "c": "cut off",
        "e": "not in things",
        "d": "not in others",
    }
    assert missing([first]) == {"b": "cannot be opened", "c": "cut off"}


@pytest.mark.parametrize(
    ("number", "fits"),
    [(65504.0, True), (-65504.0, True), (65520.0, False), (np.inf, False), (np.nan, False), (1e-9, True)],
)
def test_what_half_precision_holds(number, fits):
    assert fits_half(np.array([[0.0, number]], np.float32)) is fits


def test_features_that_cannot_be_stored_are_an_outcome():
    good, bad = np.ones((2, 3), np.float32), np.full((1, 3), 1e6, np.float32)
    first, second = as_features([({"label": np.array([4, 5])}, good), ({"label": np.array([6])}, bad)])
    assert isinstance(first, VideoRows)
    assert first.arrays.keys() == {"label", "x"}
    assert first.arrays["x"] is good
    assert str(second) == "the encoder gave numbers that are not finite or beyond half precision"
