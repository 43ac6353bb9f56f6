"""decord reads what suits it, and nothing that it would get wrong."""

import subprocess
import sys

import av
import numpy as np
import pytest

from pipeline.video import decoding, decord_reading
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.decord_reading import read_with_decord, sought_keys


@pytest.fixture
def read_by_decord(monkeypatch):
    """The files that decord has read."""
    paths = []

    def noting(path, *rest):
        paths.append(path.name)
        return read_with_decord(path, *rest)

    monkeypatch.setattr(decoding, "read_with_decord", noting)
    return paths


def frames_of_pyav(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize(
    ("name", "codec", "codec_options"),
    [
        ("plain.mp4", "libx264", {"g": "15"}),
        ("b-frames.mkv", "libx264", {"bf": "3", "g": "20"}),
        ("plain.webm", "libvpx-vp9", {}),
        ("plain.avi", "mpeg4", {}),
    ],
)
def test_decord_reads_what_suits_it(tmp_path, make_video, read_by_decord, name, codec, codec_options):
    make_video(tmp_path / name, 40, codec=codec, codec_options=codec_options)
    expected = frames_of_pyav(tmp_path / name)
    for numbers in ([0, 7, 14, 21, 28, 35, 39], [33, 5, 5]):
        found = read_frames(open_video(tmp_path / name), numbers)
        assert np.abs(found.astype(int) - expected[numbers]).max() <= 2  # two builds of FFmpeg
    assert read_by_decord == [name, name]


def test_decord_is_given_no_more_than_it_may_hold(tmp_path, make_video, read_by_decord, monkeypatch):
    make_video(tmp_path / "v.mp4", 40, size_hw=(48, 80))
    monkeypatch.setattr(decord_reading, "MAX_BYTES", 40 * 48 * 80 * 3 - 1)
    large = read_frames(open_video(tmp_path / "v.mp4"), [39])
    assert read_by_decord == []
    small = read_frames(open_video(tmp_path / "v.mp4"), [39], (24, 40))
    assert read_by_decord == ["v.mp4"]
    monkeypatch.setattr(decord_reading, "MAX_BYTES", 40 * 48 * 80 * 3)
    assert np.abs(read_frames(open_video(tmp_path / "v.mp4"), [39]).astype(int) - large).max() <= 2
    assert read_by_decord == ["v.mp4", "v.mp4"]
    assert small.shape == (1, 24, 40, 3)


@pytest.mark.parametrize(
    ("name", "codec", "codec_options"),
    [
        ("open groups.mp4", "libx264", {"x264-params": "open-gop=1:bframes=3:b-adapt=0:scenecut=0:keyint=15"}),
        ("open groups.mkv", "libx265", {"x265-params": "keyint=15:min-keyint=15:log-level=none"}),
        ("interlaced.mp4", "libx264", {"flags": "+ilme+ildct", "x264-params": "interlaced=1"}),
        ("stream.ts", "libx264", {}),
        ("b-frames.avi", "libx264", {"bf": "3"}),
    ],
)
def test_decord_is_not_given_what_it_gets_wrong(tmp_path, make_video, read_by_decord, name, codec, codec_options):
    make_video(tmp_path / name, 60, codec=codec, codec_options=codec_options, size_hw=(96, 128))
    expected = frames_of_pyav(tmp_path / name)
    for numbers in ([0, 7, 14, 21, 28, 35, 42, 49, 56], [44], [20, 59]):
        assert np.array_equal(read_frames(open_video(tmp_path / name), numbers), expected[numbers])
    assert read_by_decord == []


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0, 1, 2], []),
        ([2], []),
        ([3], [3]),
        ([8], [6]),
        ([2, 3, 4, 5, 6], []),
        ([1, 3, 7], [3, 6]),
        ([4, 5, 8], [3]),
    ],
)
def test_which_key_frames_decord_seeks(numbers, expected):
    assert sought_keys(numbers, np.arange(9) // 3 * 3) == expected


def test_frames_of_another_size_are_not_those_that_were_foretold(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 5, size_hw=(48, 80))
    times_F = np.arange(5) / 10
    for size_hw, kept in {(48, 80): [0, 1], (80, 48): []}.items():
        frames = {}
        request = (tmp_path / "v.mp4", [0, 4], np.zeros(5, int), size_hw, False, times_F, frames.__setitem__)
        assert read_with_decord(*request) == (len(kept) == 2, False)
        assert list(frames) == kept


def test_what_decord_complains_of_is_looked_at_again(tmp_path, make_video, read_by_decord):
    path = tmp_path / "v.mp4"
    make_video(path, 40, size_hw=(96, 128), codec_options={"g": "40"}, options={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    for place in range(len(content) * 4 // 5, len(content) * 19 // 20, 60):
        content[place] ^= 0x10
    path.write_bytes(content)
    video = open_video(path)
    first = read_frames(video, [0, 1, 20, 39], stand_ins=True)
    assert read_by_decord == ["v.mp4"]
    assert "FFmpeg said: h264: " in video.faults.reason()
    assert np.array_equal(read_frames(open_video(path), [0, 1, 20, 39], stand_ins=True), first)


def test_a_complaint_about_frames_that_are_not_asked_for_changes_nothing(tmp_path, make_video, monkeypatch):
    """decord runs ahead of what is asked for, now further and now less far."""
    make_video(tmp_path / "v.mp4", 30, size_hw=(96, 128))
    expected = read_frames(open_video(tmp_path / "v.mp4"), [0, 9], (40, 60))

    def complaining(*request):
        return read_with_decord(*request)[0], True

    monkeypatch.setattr(decoding, "read_with_decord", complaining)
    video = open_video(tmp_path / "v.mp4")
    assert np.array_equal(read_frames(video, [0, 9], (40, 60)), expected)
    assert video.faults.reason() is None


@pytest.mark.slow
def test_decord_loads_no_cuda_libraries(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 10)
    script = (
        "import sys; from pathlib import Path; from pipeline.video.decoding import open_video, read_frames\n"
        "read_frames(open_video(Path(sys.argv[1])), [0, 9])\n"
        "assert 'decord' in sys.modules and 'nvidia' not in sys.modules\n"
        "print('nvblas' in Path('/proc/self/maps').read_text())\n"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])\n"
    )
    told = subprocess.run([sys.executable, "-c", script, str(tmp_path / "v.mp4")], capture_output=True, check=True)
    has_nvblas, peak_kilobytes = told.stdout.split()
    assert has_nvblas == b"False"
    assert int(peak_kilobytes) < 200_000
