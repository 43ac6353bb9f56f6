"""The packets of a file are read once for all clips that follow one another, and again when the file has changed."""

import os

import numpy as np
import pytest

from pipeline.video import decoding
from pipeline.video.clip_frames import clip_frames
from pipeline.video.decoding import Video, open_video, read_frames
from pipeline.video.interval import Interval
from pipeline.video.last_file import LastFile, stamp_of


@pytest.fixture
def looks(monkeypatch):
    """Names of the files whose packets were read."""
    names = []
    look = Video._look
    monkeypatch.setattr(decoding, "_last", LastFile())
    monkeypatch.setattr(Video, "_look", lambda video: (names.append(video.path.name), look(video))[1])
    return names


def clip(path, start):
    with open_video(path) as video:
        found = clip_frames(video, Interval(start, start + 0.5))
        frames = read_frames(video, found.first + np.arange(len(found.times_F)))
        return found.times_F, frames, found.suspect(video)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.ts", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx-vp9")],
)
def test_clips_of_one_file_read_its_packets_once(tmp_path, make_video, looks, monkeypatch, name, codec):
    make_video(tmp_path / name, 60, codec=codec)
    starts = (0.0, 1.2, 0.6, 1.2)
    found = [clip(tmp_path / name, start) for start in starts]
    assert looks == [name]
    for start, (times, frames, suspect) in zip(starts, found, strict=True):
        monkeypatch.setattr(decoding, "_last", LastFile())
        expected = clip(tmp_path / name, start)
        assert np.array_equal(times, expected[0])
        assert np.array_equal(frames, expected[1])
        assert suspect == expected[2]
    assert len(looks) == 5


def test_another_file_and_another_content_are_looked_at(tmp_path, make_video, looks):
    for name in ("a.mp4", "b.mp4"):
        make_video(tmp_path / name, 20)
    sizes = []
    for name in ("a.mp4", "b.mp4", "a.mp4", "a.mp4"):
        with open_video(tmp_path / name) as video:
            sizes.append(len(video))
    assert looks == ["a.mp4", "b.mp4", "a.mp4"]
    make_video(tmp_path / "c.mp4", 30)
    (tmp_path / "c.mp4").replace(tmp_path / "a.mp4")
    with open_video(tmp_path / "a.mp4") as video:
        assert len(video) == 30
    os.utime(tmp_path / "a.mp4", ns=(1, 1))
    with open_video(tmp_path / "a.mp4") as video:
        assert len(video) == 30
    assert looks[3:] == ["a.mp4", "a.mp4"]


def test_faults_of_one_clip_are_not_those_of_the_next(tmp_path, make_video, looks):
    make_video(tmp_path / "a.mp4", 40)
    with open_video(tmp_path / "a.mp4") as video:
        video.faults.num_lost += 3
        video.key_F = video.key_F + 1
    with open_video(tmp_path / "a.mp4") as video:
        assert video.faults.reason() is None
        assert video.key_F[0] == 0
    assert looks == ["a.mp4"]


def test_one_file_is_kept_and_no_more(tmp_path):
    last = LastFile[str]()
    stamps = []
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        stamps.append(stamp_of(tmp_path / name))
        last.keep(stamps[-1], name)
    assert [last.recall(stamp) for stamp in stamps] == [None, "b"]
    (tmp_path / "b").write_text("longer")
    assert last.recall(stamp_of(tmp_path / "b")) is None
