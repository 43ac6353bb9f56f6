"""Frames of files as people have them, against those that ffmpeg shows, by the numbers that are drawn on them.

It needs Debian's `ffmpeg`. FIELD_FILES=FOLDER adds the files of a folder, whose frames need show no number.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawing import numbers_of, shown
from field_files import FILES, TILTED

from pipeline.video import decoding
from pipeline.video.clip_frames import clip_frames
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.interval import Interval
from pipeline.video.last_file import LastFile
from pipeline.video.windows import WindowRequest, read_windows

pytestmark = pytest.mark.slow

# Levels of 255. The next frame differs by 13 at least in the mean, a mirrored one by more than 50.
TOLERANCE = 8.0
FURTHER = sorted(path for path in Path(os.environ.get("FIELD_FILES", os.devnull)).rglob("*") if path.is_file())


@pytest.fixture(autouse=True, scope="module")
def _tool():
    if shutil.which("ffmpeg") is None:
        pytest.fail("this suite needs ffmpeg's command: install Debian's package `ffmpeg`")


def opened(path):
    """Open a file as a worker does that has seen another one before."""
    decoding._last = LastFile()
    return open_video(path)


def check(found, expected, what):
    """Compare frames by what they show, and by their numbers as they stand."""
    assert found.shape == expected.shape, what
    difference = np.abs(found.astype(int) - expected).mean(axis=(1, 2, 3))
    assert difference.max() < TOLERANCE, f"{what}: {numbers_of(found)} for {numbers_of(expected)}"
    if found.shape[1] < found.shape[2]:  # in frames that are turned by a quarter no number can be read
        assert numbers_of(found) == numbers_of(expected), what


def compare(path, monkeypatch, like=None):
    """Read a file in each way there is, by decord where it suits and by PyAV alone, beside ffmpeg's tool.

    Args:
        path: The file.
        monkeypatch: Keeps decord away.
        like: A file that ffmpeg's tool reads in its place.
    """
    with opened(path) as video:
        size_hw, stream = video.size_hw, video.stream.index
    expected = shown(like or path, stream, size_hw)
    half_hw = (size_hw[0] // 2, size_hw[1] // 2)
    small = shown(like or path, stream, half_hw)
    read_each_way(path, expected, small)
    with monkeypatch.context() as without:
        without.setattr(decoding, "suits", lambda *_: False)
        read_each_way(path, expected, small)


def read_each_way(path, expected, small):
    num_frames = len(expected)
    with opened(path) as video:
        assert len(video) == num_frames
        times_F, begin = video.times_F, max(video.container.start_time or 0, 0) / 1e6
        assert (np.diff(times_F) >= 0).all()
        check(read_frames(video, range(num_frames)), expected, "in order")
    spread = list(range(min(3, num_frames - 1), num_frames, max(1, num_frames // 6)))
    with opened(path) as video:
        check(read_frames(video, spread), expected[spread], "spread")
        for number in spread[::-1]:
            check(read_frames(video, [number]), expected[[number]], f"frame {number} after later ones")
    with opened(path) as video:
        check(read_frames(video, spread[::-1], small.shape[1:3]), small[spread[::-1]], "scaled, in the other order")
    for number in spread[::2]:
        with opened(path) as video:
            check(read_frames(video, [number]), expected[[number]], f"frame {number} alone")
    starts = tuple(sorted({0, num_frames // 2, max(0, num_frames - 8)}))
    windows = read_windows(WindowRequest(path, num_frames, starts, 8, expected.shape[1:3]))
    for start, window in zip(starts, windows, strict=True):
        check(window, expected[np.minimum(np.arange(start, start + 8), num_frames - 1)], f"window {start}")
    with opened(path) as video:
        clip = clip_frames(video, Interval(max(0.0, float(times_F[num_frames // 2]) - begin)))
        numbers = clip.first + np.arange(len(clip.times_F))
        check(read_frames(video, numbers), expected[numbers], "an interval")
        assert clip.first == np.searchsorted(times_F, times_F[num_frames // 2] - 1e-3)


@pytest.mark.parametrize("name", FILES)
def test_frames_are_those_that_ffmpeg_shows(tmp_path, monkeypatch, name):
    FILES[name](tmp_path / name)
    compare(tmp_path / name, monkeypatch)


@pytest.mark.parametrize("name", TILTED)
def test_turns_are_the_nearest_quarters(tmp_path, monkeypatch, name):
    for make, path in zip(TILTED[name], (tmp_path / name, tmp_path / "exact.mp4"), strict=True):
        make(path)
    compare(tmp_path / name, monkeypatch, like=tmp_path / "exact.mp4")


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(("twice", "then", "earlier", "three"))])
def test_times_of_joined_files_are_counted_on(tmp_path, name):
    FILES[name](tmp_path / name)
    with opened(tmp_path / name) as video:
        steps = np.diff(video.times_F)
        pauses = np.flatnonzero(steps > 10)
        steps_within = np.delete(steps, pauses)
        # Of program streams, FFmpeg guesses the times beside the seam.
        assert steps_within.sum() == pytest.approx(len(steps_within) * np.median(steps), abs=0.05)
        assert len(pauses) == (" 60 s " in name)
        assert ("clock falls back" in (video.faults.reason() or "")) is (len(pauses) == 0)
        assert numbers_of(read_frames(video, range(len(video)))) == list(range(len(video)))


@pytest.mark.parametrize("path", FURTHER, ids=str)
def test_frames_of_further_files_are_those_that_ffmpeg_shows(monkeypatch, path):
    monkeypatch.setitem(globals(), "numbers_of", lambda _: [])  # they are compared as pictures
    compare(path, monkeypatch)
