"""A slice of `make fuzz`: what becomes of damaged videos, and that the judge sees what may not be."""

import numpy as np
import pytest
from fuzz.bases import BASES, make_bases
from fuzz.campaign import MAX_BYTES, judge, run, table
from fuzz.damage import DAMAGES, damaged
from fuzz.examination import difference, examine

from pipeline.errors import VideoError
from pipeline.video.frame_sampling import FramesRequest, read_sampled_frames

NUM_FILES = 40


@pytest.mark.slow
def test_each_of_some_damaged_videos_has_its_outcome(tmp_path):
    results = run(range(10_000, 10_000 + NUM_FILES), "slice", 2, tmp_path)
    print(table(results))
    assert [result for result in results if result.broken] == []
    assert {result.outcome for result in results} >= {"ok", "suspect", "left out"}
    assert all(result.reason for result in results if result.outcome != "ok")


@pytest.mark.slow
def test_the_sound_ones_are_right_frames(tmp_path):
    """Or the damage that is found would be that of the files before it."""
    make_bases(tmp_path)
    found = {name: examine(str(tmp_path / name)) for name in BASES}
    said = {
        name: one["reason"] or one["wrong"] for name, one in found.items() if one["outcome"] != "ok" or one["wrong"]
    }
    assert set(said) <= {"late_sound.ts"}  # it is two files joined


def test_equal_seeds_make_equal_files():
    bases = {"a.mp4": bytes(range(256)) * 20, "b.mp4": b"ftyp....moov" * 300}
    files = [damaged(bases, f"7 {number}") for number in range(300)]
    assert files == [damaged(bases, f"7 {number}") for number in range(300)]
    assert len({content for _, _, content in files}) > 280
    done = " ".join(how for _, how, _ in files)
    assert all(damage.__name__ in done for damage in DAMAGES)
    assert "joined with" in done


def test_a_wrong_frame_and_a_wrong_time_are_seen(tmp_path):
    path = tmp_path / "front_index.mp4"
    BASES[path.name](path)
    arrays = read_sampled_frames(FramesRequest(path, path.stat().st_size, 5.0, 12, 448)).arrays
    assert difference(path, arrays) is None
    late = arrays | {"pixels": np.roll(arrays["pixels"], 48 * 80, axis=0)}
    assert difference(path, late) == "frame 0 is another picture than PyAV's"
    assert "after 0.205 s, by PyAV after 0.200 s" in str(difference(path, arrays | {"time": arrays["time"] * 1.025}))
    assert difference(path, arrays | {"num_frames": np.array([12])}) == "12 frames, PyAV gives 24"


def test_what_may_not_be():
    fine = {"outcome": "suspect", "reason": "torn", "wrong": None, "seconds": 0.1, "bytes": 1}
    assert judge(1, "", fine).broken is None
    assert judge(1, "", fine | {"bytes": MAX_BYTES + 1}).broken == "1000 MB"
    assert judge(1, "", fine | {"wrong": "another picture"}).broken == "another picture"
    assert judge(1, "", fine | {"reason": "its readers stumbled over it (KeyError)"}).broken is not None
    assert judge(1, "", VideoError("the decoder crashed on it (SIGSEGV)")).broken is None
    assert judge(1, "", fine | {"seconds": 20.5}).broken == "20 s"
    assert judge(1, "", VideoError("decoding took longer than 120 s (time_limit)")).broken == "it hangs"
