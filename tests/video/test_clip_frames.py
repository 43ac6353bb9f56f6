"""Which frames an interval has, what is decoded for them, and which faults count."""

import numpy as np
import pytest

from pipeline.errors import VideoError
from pipeline.video import decord_reading
from pipeline.video.clip_frames import clip_frames
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.faults import Faults
from pipeline.video.frame_sampling import FramesRequest, read_sampled_frames
from pipeline.video.interval import Interval
from pipeline.video.windows import WindowRequest, read_window_frames


def hdr_options(transfer):
    return {"x264-params": f"transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc"}


@pytest.mark.parametrize(
    ("transfer", "expected"),
    [
        ("smpte2084", "HDR read as SDR: its PQ colours were not tone-mapped"),
        ("arib-std-b67", "HDR read as SDR: its HLG colours were not tone-mapped"),
        ("bt709", None),
        ("bt2020-10", None),  # wide colours of ordinary range
    ],
)
@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
def test_high_dynamic_range_is_said(tmp_path, make_video, name, transfer, expected):
    """Of a whole file, of an interval, and of a file whose packets are remembered; both readers say it."""
    path = tmp_path / name
    make_video(path, 20, codec_options=hdr_options(transfer))
    for interval in (None, Interval(0.5, 1.5)):
        request = FramesRequest(path, path.stat().st_size, 2.0, 20, 448, interval)
        assert read_sampled_frames(request).suspect == expected
        assert read_window_frames(WindowRequest(path, None, (0,), 4, 32, interval)).suspect == expected


def frames_of(path, start, stop):
    with open_video(path) as video:
        clip = clip_frames(video, None if start is None else Interval(start, stop))
        return list(range(clip.first, clip.first + len(clip.times_F))), clip


def test_a_frame_belongs_where_it_begins_to_be_shown(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 40, rate=10)
    assert frames_of(tmp_path / "v.mp4", 1.0, 1.5)[0] == [10, 11, 12, 13, 14]
    assert frames_of(tmp_path / "v.mp4", 0.95, 1.41)[0] == [10, 11, 12, 13, 14]
    assert frames_of(tmp_path / "v.mp4", 3.8, None)[0] == [38, 39]
    assert frames_of(tmp_path / "v.mp4", 0.0, 0.1)[0] == [0]


def test_times_count_from_the_start_of_the_interval(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 40, rate=10)
    _, clip = frames_of(tmp_path / "v.mp4", 0.95, 1.3)
    np.testing.assert_allclose(clip.times_F, [0.05, 0.15, 0.25], atol=1e-9)
    assert clip.begin == 0


def test_a_whole_file_keeps_its_own_times(tmp_path, make_video):
    make_video(tmp_path / "v.ts", 5, rate=10, codec_options={"bf": "2"})
    numbers, clip = frames_of(tmp_path / "v.ts", None, None)
    with open_video(tmp_path / "v.ts") as video:
        assert np.array_equal(clip.times_F, video.times_F)
    assert numbers == [0, 1, 2, 3, 4]
    assert clip.begin == clip.times_F[0] > 0


def test_times_that_a_container_has_rounded_lose_no_frame(tmp_path, make_video):
    """Matroska has milliseconds: the frame at 1 / 3 s says 0.333."""
    make_video(tmp_path / "v.mkv", 30, rate=3)
    assert frames_of(tmp_path / "v.mkv", 1 / 3, 2 / 3)[0] == [1]
    assert frames_of(tmp_path / "v.mkv", 2 / 3, 4 / 3)[0] == [2, 3]


@pytest.mark.parametrize(
    ("start", "stop", "message"),
    [
        (5.0, 7.0, r"no frame in its interval 5-7 s: the file's last frame is shown at 3\.90 s"),
        (5.0, None, r"no frame in its interval 5- s: the file's last frame is shown at 3\.90 s"),
        (1.01, 1.09, r"no frame in its interval 1\.01-1\.09 s: the next one is shown at 1\.10 s"),
    ],
)
def test_an_interval_without_a_frame_is_a_bad_video(tmp_path, make_video, start, stop, message):
    make_video(tmp_path / "v.mp4", 40, rate=10)
    with pytest.raises(VideoError, match=message):
        frames_of(tmp_path / "v.mp4", start, stop)


def test_an_interval_that_goes_beyond_the_end_is_used_up_to_it_and_suspect(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 40, rate=10)
    numbers, clip = frames_of(tmp_path / "v.mp4", 3.5, 9.0)
    assert numbers == [35, 36, 37, 38, 39]
    assert clip.shortfall == "its interval 3.5-9 s goes beyond the file's last frame, at 3.90 s"
    path = tmp_path / "v.mp4"
    request = FramesRequest(path, path.stat().st_size, 2.0, 20, 448, Interval(3.5, 9.0))
    assert read_sampled_frames(request).suspect == clip.shortfall


def test_the_end_of_the_sound_is_no_reason_for_suspicion(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 40, rate=10)
    assert frames_of(tmp_path / "v.mp4", 3.5, 4.4)[1].shortfall is None


def test_sampling_starts_at_the_interval(tmp_path, make_video):
    """At 0.95 and 1.45 s frames 9 and 14 are on show; frame 9 is not of the interval: its first frame stands in."""
    make_video(tmp_path / "v.mp4", 40, rate=10)
    path = tmp_path / "v.mp4"
    request = FramesRequest(path, path.stat().st_size, 2.0, 20, 448, Interval(0.95, 2.0))
    arrays = read_sampled_frames(request).arrays
    assert arrays["number"].tolist() == [0, 4]
    assert arrays["num_frames"].tolist() == [10]
    np.testing.assert_allclose(arrays["time"], [0.05, 0.45])
    assert np.array_equal(arrays["pixels"], read_frames(open_video(path), [10, 14]).reshape(-1, 3))


def test_an_hour_before_the_interval_is_not_decoded(tmp_path, make_video, monkeypatch):
    make_video(tmp_path / "hour.mp4", 3700, rate=1, codec_options={"g": "20", "preset": "ultrafast"})
    monkeypatch.setattr(decord_reading, "MAX_BYTES", 0)
    decoded = []

    def counting(faults, packet, decode=Faults.decode):
        frames = decode(faults, packet)
        decoded.extend(frames)
        return frames

    monkeypatch.setattr(Faults, "decode", counting)
    path = tmp_path / "hour.mp4"
    request = FramesRequest(path, path.stat().st_size, 1.0, 20, 448, Interval(3610, 3620))
    arrays = read_sampled_frames(request).arrays
    assert arrays["time"].tolist() == list(range(10))
    assert len(decoded) < 60  # the first three, a group of twenty, the ten, and what a decoder holds back
    number = 3615
    left = number * 4 % 72
    picture = arrays["pixels"].reshape(10, 48, 80, 3)[5]
    assert picture[:, left + 1 : left + 7].min() > 180


def test_only_what_is_decoded_for_an_interval_is_judged(tmp_path, make_video):
    """The second half of the file is gone: its first seconds are as good as ever, its last ones are not there."""
    make_video(tmp_path / "v.mkv", 60, rate=10, codec_options={"g": "10"})
    content = (tmp_path / "v.mkv").read_bytes()
    (tmp_path / "v.mkv").write_bytes(content[: len(content) // 2])
    path = tmp_path / "v.mkv"

    def suspect(interval):
        return read_sampled_frames(FramesRequest(path, path.stat().st_size, 4.0, 20, 448, interval)).suspect

    assert "prematurely" in suspect(None)
    assert suspect(Interval(0.0, 1.0)) is None
    assert "goes beyond the file's last frame" in suspect(Interval(1.0, 5.9))
    with pytest.raises(VideoError, match=r"no frame in its interval 5-5\.9 s"):
        suspect(Interval(5.0, 5.9))


def test_a_header_that_counts_other_frames_makes_no_interval_suspect(tmp_path, make_video):
    make_video(tmp_path / "v.avi", 40, rate=10, codec="mpeg4")
    content = bytearray((tmp_path / "v.avi").read_bytes())
    # of the stream header: name, size, kinds, flags, priority, start, scale and rate, start, then the length in frames
    place = content.index(b"strh") + 8 + 8 + 4 + 4 + 4 + 8 + 4
    content[place : place + 4] = (300).to_bytes(4, "little")
    (tmp_path / "v.avi").write_bytes(content)
    path = tmp_path / "v.avi"
    for interval, suspect in ((None, "its header counts 300 frames, the file holds 40"), (Interval(1.0, 2.0), None)):
        request = FramesRequest(path, path.stat().st_size, 4.0, 20, 448, interval)
        assert read_sampled_frames(request).suspect == suspect
