import gc
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from videos.process_memory import field_of
from videos.video_corpus import write_large

from pipeline.errors import VideoError
from pipeline.report.clips import playable_as, transcode
from pipeline.video.decoding import frame_times, open_video, read_frames


def decode_with_pyav(path):
    """All frames and their times, by another library."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return np.stack([f.to_ndarray(format="rgb24") for f in frames]), np.array([f.time for f in frames])


def mean_difference(a, b):
    assert a.shape == b.shape
    return np.abs(a.astype(int) - b).mean()


@pytest.mark.parametrize(
    ("name", "codec"),
    [("v.mp4", "libx264"), ("v.mov", "libx264"), ("v.mkv", "libx264"), ("v.webm", "libvpx-vp9"), ("v.avi", "mpeg4")],
)
def test_frames_and_times_equal_those_of_pyav(tmp_path, make_video, name, codec):
    make_video(tmp_path / name, 30, codec=codec)
    reader = open_video(tmp_path / name)
    expected, times = decode_with_pyav(tmp_path / name)
    assert len(reader) == 30
    np.testing.assert_allclose(frame_times(reader), times, atol=1e-5)
    for numbers in ([0, 1, 2, 29], [29], [7, 7], [20, 3]):
        assert mean_difference(read_frames(reader, numbers), expected[numbers]) < 0.5


@pytest.mark.parametrize(
    ("name", "codec", "codec_options", "start"),
    [
        ("b-frames.avi", "mpeg4", {"bf": "2"}, 0.04),
        ("reordered.avi", "libx264", {"bf": "3"}, 0.04),
        ("program stream.mpg", "mpeg2video", {}, 0.54),
        ("transport stream.ts", "libx264", {}, 0.08),
    ],
)
def test_containers_whose_packets_tell_little_are_read_right(tmp_path, make_video, name, codec, codec_options, start):
    """No times in the packets, or a demuxer that seeks by guessing."""
    path = tmp_path / name
    make_video(path, 40, codec=codec, codec_options=codec_options, rate=25)
    expected, _ = decode_with_pyav(path)
    np.testing.assert_allclose(frame_times(open_video(path)), start + np.arange(40) / 25, atol=1e-4)
    numbers = [0, 7, 14, 21, 28, 35, 39]
    assert mean_difference(read_frames(open_video(path), numbers), expected[numbers]) < 0.5
    assert mean_difference(read_frames(open_video(path), [33, 5, 5]), expected[[33, 5, 5]]) < 0.5
    assert read_frames(open_video(path), [0, 39], (24, 40)).shape == (2, 24, 40, 3)


def test_frame_numbers_beyond_the_video_are_refused(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 5)
    with pytest.raises(IndexError, match="5 frames"):
        read_frames(open_video(tmp_path / "v.mp4"), [0, 5])


@pytest.mark.parametrize("width", [16, 24, 48, 62, 64, 90, 96, 100])
def test_narrow_frames_have_three_channels_and_the_right_pixels(tmp_path, make_video, width):
    make_video(tmp_path / "v.mp4", 4, size_hw=(64, width))
    expected, _ = decode_with_pyav(tmp_path / "v.mp4")
    assert mean_difference(read_frames(open_video(tmp_path / "v.mp4"), range(4)), expected) < 0.5


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
def test_times_are_those_of_the_file_where_the_frame_rate_varies(tmp_path, make_video, name):
    make_video(tmp_path / name, 6, times_ms=[0, 40, 80, 480, 520, 2000])
    np.testing.assert_allclose(frame_times(open_video(tmp_path / name)), [0, 0.04, 0.08, 0.48, 0.52, 2.0], atol=1e-5)


def test_times_at_29_97_frames_a_second(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 31, rate=Fraction(30000, 1001))
    assert frame_times(open_video(tmp_path / "v.mp4"))[30] == pytest.approx(30 * 1001 / 30000)


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "libx264"), ("v.webm", "libvpx-vp9"), ("v.avi", "mpeg4")])
@pytest.mark.parametrize("num_frames", [1, 5])
def test_very_short_videos(tmp_path, make_video, name, codec, num_frames):
    make_video(tmp_path / name, num_frames, codec=codec)
    reader = open_video(tmp_path / name)
    assert len(frame_times(reader)) == num_frames
    assert read_frames(reader, range(num_frames)).shape == (num_frames, 48, 80, 3)


def test_frames_can_be_scaled_while_decoding(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 3, size_hw=(128, 192))
    with av.open(str(tmp_path / "v.mp4")) as container:
        frames = container.decode(video=0)
        expected = np.stack([f.reformat(96, 64, "rgb24", interpolation="BICUBIC").to_ndarray() for f in frames])
    assert mean_difference(read_frames(open_video(tmp_path / "v.mp4"), range(3), (64, 96)), expected) < 2


def with_matrix(path, *numbers):
    """Let an MP4 file say how its frames are shown, by the four numbers that mirror and turn."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 16  # version and flags, times and track, layer and volume
    a, b, c, d = (round(number * (1 << 16)) for number in numbers)
    content[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


UPRIGHT = {  # what a player makes of a frame
    (1, 0, 0, 1): lambda frame: frame,
    (0, 1, -1, 0): lambda frame: np.rot90(frame, -1),
    (-1, 0, 0, -1): lambda frame: frame[::-1, ::-1],
    (0, -1, 1, 0): np.rot90,
    (-1, 0, 0, 1): lambda frame: frame[:, ::-1],
    (1, 0, 0, -1): lambda frame: frame[::-1],
    (0, 1, 1, 0): lambda frame: frame.swapaxes(0, 1),
    (0, -1, -1, 0): lambda frame: frame[::-1, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("off", [0, -0.4, 1, -30])
@pytest.mark.parametrize("numbers", UPRIGHT)
def test_frames_are_mirrored_and_turned_as_the_file_says(tmp_path, make_video, numbers, off):
    path = tmp_path / "v.mp4"
    make_video(path, 3, size_hw=(62, 90))
    stored, small = read_frames(open_video(path), [0, 2]), read_frames(open_video(path), [0, 2], (30, 40))
    turn = np.deg2rad(off)
    tilt = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    with_matrix(path, *(np.array(numbers).reshape(2, 2) @ tilt).ravel())
    upright = UPRIGHT[numbers]
    video = open_video(path)
    assert video.size_hw == upright(stored[0]).shape[:2]
    assert np.array_equal(read_frames(video, [0, 2]), [upright(frame) for frame in stored])
    scaled = read_frames(video, [0, 2], upright(small[0]).shape[:2])
    assert mean_difference(scaled, np.stack([upright(frame) for frame in small])) < 2  # by decord there, by PyAV here


def test_unicode_and_spaces_in_names(tmp_path, make_video):
    path = tmp_path / "-\u00e4 \u65e5 video-1.mp4"
    make_video(path, 2)
    assert len(open_video(path)) == 2


def test_bad_files_say_what_is_wrong(tmp_path, bad_videos):
    for name, reason in {**bad_videos, "missing.mp4": "no such file", "": "it is a folder"}.items():
        with pytest.raises(VideoError, match=reason) as raised:
            open_video(tmp_path / name)
        assert str(tmp_path) not in str(raised.value), "reasons are stored in artifacts: no path of this machine"


def test_what_is_left_of_a_video_cut_off_behind_its_index_is_suspect(tmp_path, make_video):
    path = tmp_path / "v.mp4"
    make_video(path, 60, options={"movflags": "faststart"})
    expected = read_frames(open_video(path), range(60))
    content = path.read_bytes()
    start = content.index(b"mdat")
    path.write_bytes(content[: start + (len(content) - start) // 2])
    video = open_video(path)
    assert 10 < len(video) < 60
    assert np.array_equal(read_frames(video, range(len(video))), expected[: len(video)])
    assert video.faults.reason().startswith(f"its header counts 60 frames, the file holds {len(video)}; FFmpeg said: ")


def test_the_camera_clips_decode(camera_clips):
    found = {
        name: (len(open_video(path)), read_frames(open_video(path), [0, 17])) for name, path in camera_clips.items()
    }
    assert {name: (frames, pixels.shape[1:3]) for name, (frames, pixels) in found.items()} == {
        "bigbuckbunny": (132, (720, 1280)),
        "bikes": (250, (272, 640)),
        "carphone_distorted": (120, (144, 176)),
        "carphone_pristine": (120, (144, 176)),
    }
    expected, times = decode_with_pyav(camera_clips["carphone_distorted"])
    reader = open_video(camera_clips["carphone_distorted"])
    np.testing.assert_allclose(frame_times(reader), times, atol=1e-5)
    assert mean_difference(read_frames(reader, [0, 50, 51, 119]), expected[[0, 50, 51, 119]]) < 0.5


def write_with_title(path, source, title):
    """Copy a video into another container, with a title of bytes that need not be UTF-8."""
    stand_in = "T" * len(title)
    with av.open(str(source)) as incoming, av.open(str(path), "w") as outgoing:
        outgoing.metadata["title"] = stand_in
        stream = outgoing.add_stream_from_template(incoming.streams.video[0])
        for packet in incoming.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                outgoing.mux(packet)
    content = path.read_bytes()
    assert stand_in.encode() in content
    path.write_bytes(content.replace(stand_in.encode(), title))


@pytest.mark.parametrize("name", ["v.mp4", "v.mov", "v.mkv", "v.avi"])
@pytest.mark.parametrize("title", ["Été à Nîmes".encode("latin-1"), "日本の夏休み".encode("shift-jis")])
def test_a_title_that_is_not_utf8_costs_no_frame(tmp_path, make_video, name, title):
    source, codec = (tmp_path / "source.avi", "mpeg4") if name == "v.avi" else (tmp_path / "source.mp4", "libx264")
    make_video(source, 12, codec=codec)
    write_with_title(tmp_path / name, source, title)
    expected, times = decode_with_pyav(source)
    video = open_video(tmp_path / name)
    np.testing.assert_allclose(frame_times(video), times, atol=2e-3)
    assert np.array_equal(read_frames(video, range(12)), read_frames(open_video(source), range(12)))
    assert mean_difference(read_frames(video, range(12)), expected) < 0.5
    assert playable_as(tmp_path / name) == ("video/mp4" if name == "v.mp4" else None)
    assert len(transcode(tmp_path / name)) > 0


@pytest.mark.parametrize("reading", ["decord", "PyAV"])
def test_a_name_with_a_colon_is_a_file(tmp_path, make_video, monkeypatch, reading):
    """FFmpeg takes `cut:1.mp4` for the protocol `cut`."""
    make_video(tmp_path / "cut:1.mp4", 6)
    monkeypatch.chdir(tmp_path)
    if reading == "PyAV":
        monkeypatch.setattr("pipeline.video.decoding.suits", lambda *_: False)
    path = Path("cut:1.mp4")
    assert read_frames(open_video(path), range(6)).shape[0] == 6
    assert playable_as(path) == "video/mp4"


def test_frames_are_let_go_when_they_were_read(tmp_path):
    """12 MB each; what kept them until Python collects its garbage would keep all. decord reads no .ts."""
    write_large(tmp_path / "v.ts", 14, (2160, 3840))
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    gc.collect()
    gc.disable()
    try:
        with open_video(tmp_path / "v.ts") as video:
            read_frames(video, [0], size_hw=(54, 96))
            reset.write_text("5")  # the highest memory counts from here
            before = field_of(status, "VmHWM")
            read_frames(video, range(1, 14), size_hw=(54, 96))
            assert field_of(status, "VmHWM") - before < 60e6
    finally:
        gc.enable()
