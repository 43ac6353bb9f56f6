"""The frames that networks see, written out."""

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.recognition.sampling import dense, dense_views, segments, uniform


@pytest.mark.parametrize(("mode", "num_frames", "expected"), [
    ("val", 16, [2, 6, 10, 14]),
    ("val", 10, [1, 3, 6, 8]),
    ("val", 4, [0, 0, 0, 0]),
    ("test", 4, [0, 1, 2, 3]),
    ("test", 2, [0, 0, 1, 1]),
    ("test_starts", 10, [0, 2, 5, 7]),
    ("train", 3, [0, 0, 0, 0]),
    ("train", 4, [0, 1, 2, 3]),
])  # fmt: skip
def test_segments(mode: str, num_frames: int, expected: list[int]) -> None:
    assert segments(num_frames, 4, mode, np.random.default_rng(0)).tolist() == expected


def test_a_frame_of_each_segment_is_drawn() -> None:
    draws = np.stack([segments(11, 5, "train", np.random.default_rng(seed)) for seed in range(50)])
    assert [sorted(set(column)) for column in draws.T.tolist()] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]


def test_two_views_of_segments_are_their_starts_and_their_middles() -> None:
    assert segments(60, 16, "test_starts")[:4].tolist() == [0, 3, 7, 11]
    assert segments(60, 16, "test")[:4].tolist() == [1, 5, 9, 13]


def test_dense_views_start_over_all_of_the_clip() -> None:
    views = dense_views(300, 16, 4, 5)
    assert (views[:, 0] // 4).tolist() == [0, 14, 29, 44, 59]
    assert views[1].tolist() == [56 + 4 * number for number in range(16)]
    assert dense_views(10, 5, 4, 2).tolist() == [[0, 4, 8, 8, 8]] * 2
    assert dense_views(300, 16, 4, 1)[:, 0].tolist() == [0]


def test_a_dense_window_is_drawn_and_a_short_clip_taken_as_a_whole() -> None:
    drawn = dense(100, 4, 4, np.random.default_rng(1))
    assert np.diff(drawn).tolist() == [5, 5, 5]
    assert {int(dense(18, 4, 4, np.random.default_rng(seed))[0]) for seed in range(30)} == {0, 1}
    assert dense(9, 4, 4, np.random.default_rng(0)).tolist() == [0, 8, 8, 8]


def test_uniform_frames_reach_from_the_first_to_the_last() -> None:
    assert uniform(10, 4).tolist() == [0, 3, 6, 9]
    assert uniform(10, 4, shift=0.5).tolist() == [1, 4, 7, 9]
    assert uniform(2, 4).tolist() == [0, 0, 0, 1]


def test_a_clip_without_frames_is_refused() -> None:
    with pytest.raises(PipelineError, match="of a clip of 0"):
        segments(0, 4, "val")
