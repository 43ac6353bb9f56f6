"""The peers of the benchmark read the same frames."""

import numpy as np
import pytest

from benchmarks import decoding as benchmark
from benchmarks.decoding import every_frame, rows, sampled, sought_frames, sought_of, windowed, write_clip
from pipeline.video.decoding import open_video
from pipeline.video.decord_reading import suits

SMALL = (96, 128, 70)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    write_clip(path, SMALL, 30)
    return path


def test_a_made_clip_has_its_key_frames_and_frames_between_them_that_none_refers_to(clip):
    with open_video(clip) as video:
        assert len(video) == 70
        assert sorted(set(video.key_F.tolist())) == [0, 30, 60]


def test_sampled_frames_are_among_all_frames(clip, monkeypatch):
    monkeypatch.setattr("pipeline.video.decoding.suits", lambda *_: False)  # decord converts a little differently
    monkeypatch.setattr(benchmark, "SHORT_SIDE", 48)
    arrays = sampled(clip).arrays
    frames = every_frame(clip)
    assert len(frames) == 70
    height, width = arrays["size"][0]
    pixels = arrays["pixels"].reshape(-1, height, width, 3)
    assert np.array_equal(pixels, np.stack(frames)[arrays["number"]])


def test_frames_of_windows_are_those_that_are_sought(clip, monkeypatch):
    monkeypatch.setattr("pipeline.video.decoding.suits", lambda *_: False)
    found = windowed(clip)
    assert np.array_equal(np.stack(sought_frames(clip, sought_of(clip))), found.frames[:: benchmark.EVERY])


def test_rows_have_their_goals(monkeypatch, clip):
    monkeypatch.setattr(benchmark, "MADE", SMALL)
    monkeypatch.setattr(benchmark, "camera_clips", lambda: [clip])
    found = rows(1)
    assert [row.goal for row in found] == [1.3, 5] * 3 + [None, None]
    assert all(row.ratio > 0 for row in found)
    assert found[-1].unit == "MB"
    assert 20 < found[-1].ratio < 1000


def test_the_camera_clips_are_found(camera_clips):
    assert benchmark.camera_clips() == sorted(camera_clips.values())
    with open_video(camera_clips["bikes"]) as video:
        assert suits(video.container.format.name, len(video), video.size_hw)
