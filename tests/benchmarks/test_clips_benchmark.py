"""All ways of the benchmark read the same frames, and its rows have their goals."""

import numpy as np
import pytest

from benchmarks import clips as benchmark
from benchmarks.clips import by_decord, by_own_reader, by_pyav, clip_of, plainly, write_store
from benchmarks.decoding import write_clip

SMALL = (96, 128, 70)
NUMBERS = [3, 40, 41, 69]


@pytest.fixture
def clip(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "SHORT_SIDE", 48)
    path = tmp_path / "clip.mp4"
    write_clip(path, SMALL, 30)
    return path


def test_all_ways_read_the_same_frames(clip, tmp_path):
    assert plainly(clip) == 70
    expected = by_own_reader(clip, NUMBERS).astype(int)
    assert expected.shape == (4, 48, 64, 3)
    store = write_store(tmp_path / "clips.zarr", clip_of(clip, None, 48))
    for found in (store.read("3", NUMBERS), by_decord(clip, NUMBERS), np.stack(by_pyav(clip, NUMBERS))):
        assert np.abs(found - expected).mean() < 2


def test_rows_of_clips_have_their_goals(clip, monkeypatch):
    monkeypatch.setattr(benchmark, "write_film", lambda path: path.write_bytes(clip.read_bytes()))
    found = benchmark.rows(1)
    assert [row.goal for row in found] == [1.0, None, None, None, 4, 4, 4]
    assert all(row.ratio > 0 for row in found)
