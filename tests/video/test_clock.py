"""Files that were joined: their frames are all there, in order, and timed by counting on."""

from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.errors import VideoError
from pipeline.video.clip_frames import clip_frames
from pipeline.video.clock import counted_on, falls_back
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.interval import Interval

REORDERED = {"bf": "2", "g": "12"}


def picture(number):
    """A frame that shows its number in binary, in eight columns."""
    bits = [number >> place & 1 for place in range(7, -1, -1)]
    return np.broadcast_to(np.repeat(bits, 10)[:, None] * np.uint8(255), (48, 80, 3)).astype(np.uint8)


def number_of(frame):
    columns = frame.reshape(48, 8, 10, 3).mean(axis=(0, 2, 3))
    return int(np.packbits(columns > 128)[0])


def write_part(path, numbers, codec, delay=0.0, codec_options=None):
    """Frames of these numbers, ten a second, of which the first is shown `delay` seconds late."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=codec_options or {})
        stream.height, stream.width, stream.pix_fmt = 48, 80, "yuv420p"
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = place + round(25 * delay), Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("decoding_times", "expected"),
    [
        ([], False),
        ([5], False),
        ([0, 1, 2, 3], False),
        ([0, 2, 1, 3, 4], False),  # what a guess exchanges
        ([0, 1, 2, 0, 1, 2], True),
        ([0, 10, 20, 30, 15, 25, 35], True),
        ([0, 1, 2, 90_000], False),
    ],
)
def test_a_fall_of_the_clock_is_told_from_an_exchange(decoding_times, expected):
    assert falls_back(decoding_times) is expected


@pytest.mark.parametrize(
    ("times", "expected", "num_joins"),
    [
        ([0.5], [0.5], 0),
        ([0, 1, 2, 3], [0, 1, 2, 3], 0),
        ([0, 2, 1, 3], [0, 1, 2, 3], 0),
        ([0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 4, 5], 1),
        ([7, 8, 9, 0, 1, 2, 0, 1], [7, 8, 9, 10, 11, 12, 13, 14], 2),
        ([0, 1, 2, 3, 1.5, 2.5, 6.5], [0, 1, 2, 3, 4, 5, 9], 1),
        ([0, 1, 2, 100, 101], [0, 1, 2, 100, 101], 0),
    ],
)
def test_times_are_counted_on(times, expected, num_joins):
    found, joins = counted_on(np.array(times, dtype=np.float64))
    assert found.tolist() == expected
    assert joins == num_joins


@pytest.mark.parametrize(
    ("ending", "codec", "codec_options"),
    [
        ("ts", "libx264", REORDERED),
        ("ts", "mpeg2video", REORDERED),
        ("mpg", "mpeg2video", REORDERED),
        ("vob", "mpeg2video", REORDERED),
        ("webm", "libvpx", {"g": "12"}),
        ("mkv", "libx264", REORDERED),
    ],
)
@pytest.mark.parametrize("delay", [0.0, 0.47, 0.7])
def test_a_joined_file_has_the_frames_of_all_its_parts(tmp_path, ending, codec, codec_options, delay):
    path, parts = tmp_path / f"v.{ending}", [tmp_path / f"{place}.{ending}" for place in range(2)]
    write_part(parts[0], range(30), codec, 0.0, codec_options)
    write_part(parts[1], range(30, 60), codec, delay, codec_options)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_video(path) as video:
        times_F = video.times_F
        # Of a program stream, FFmpeg guesses the times beside the seam.
        assert np.diff(times_F) == pytest.approx(np.full(59, 0.04), abs=0.0201 if ending in ("mpg", "vob") else 2e-3)
        frames = read_frames(video, range(60))
        assert [number_of(frame) for frame in frames] == list(range(60))
        assert np.array_equal(read_frames(video, [59, 31, 4]), frames[[59, 31, 4]])
        assert "its clock falls back, as in joined files: 1 (later times are counted on)" in video.faults.reason()
    with open_video(path) as video:
        clip = clip_frames(video, Interval(1.4, 2.0))
        assert clip.first == np.searchsorted(times_F - times_F[0], 1.4 - 1e-3)
        assert len(clip.times_F) == 15
        assert np.array_equal(read_frames(video, clip.first + np.arange(15)), frames[clip.first :][:15])
        assert "its clock falls back" in clip.suspect(video)


def test_where_only_the_packets_seem_to_fall_back_frames_are_sought(tmp_path, make_video, monkeypatch):
    """Times of decoding are guessed where a container has none."""
    make_video(tmp_path / "v.mkv", 40, codec_options={"g": "10", "bf": "0", "sc_threshold": "0"}, rate=25)
    monkeypatch.setattr("pipeline.video.packet_index.falls_back", lambda _: True)
    with open_video(tmp_path / "v.mkv") as video:
        assert video.key_F[-1] == 30
        assert video.faults.reason() is None


def test_a_file_without_times_is_still_refused(tmp_path, make_video):
    make_video(tmp_path / "v.h264", 10)
    with pytest.raises(VideoError, match="no time stamps"):
        open_video(tmp_path / "v.h264")
