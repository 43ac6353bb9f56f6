import base64
import io

import av
import numpy as np
import pytest
from PIL import Image
from toys.report import decode, encode
from toys.videos import write_bar_video

from pipeline.errors import VideoError
from pipeline.report import clips
from pipeline.report.clips import data_uri, still_uri
from pipeline.video.interval import Interval


def test_small_clips_go_in_as_they_are(tmp_path):
    for name in ("x.mp4", "x.webm"):
        encode(tmp_path / name)
        content = base64.b64decode(data_uri(tmp_path / name).partition(",")[2])
        assert content == (tmp_path / name).read_bytes()


def test_long_and_large_clips_are_cut_down(tmp_path):
    encode(tmp_path / "long.avi", width=640, height=362, seconds=12, fps=30)
    media_type, codec, size, times = decode(data_uri(tmp_path / "long.avi"))
    assert (media_type, codec, size) == ("video/mp4", "h264", (320, 180))
    assert times[-1] == pytest.approx(10, abs=0.1)
    assert len(times) == pytest.approx(150, abs=2)
    encode(tmp_path / "long.mp4", seconds=12)
    assert decode(data_uri(tmp_path / "long.mp4"))[3][-1] == pytest.approx(10, abs=0.15)


def test_large_files_are_encoded_again(tmp_path, monkeypatch):
    encode(tmp_path / "x.webm")
    monkeypatch.setattr(clips, "MAX_BYTES", 10)
    assert decode(data_uri(tmp_path / "x.webm"))[1] == "h264"


def test_transcoding_keeps_time(tmp_path):
    encode(tmp_path / "x.avi", seconds=2, fps=5)
    times = decode(data_uri(tmp_path / "x.avi"))[3]
    assert times == pytest.approx([i / 5 for i in range(10)], abs=2e-3)


def test_parts_of_a_joined_file_follow_one_another(tmp_path):
    write_bar_video(tmp_path / "x.ts", 10, rate=5)
    (tmp_path / "joined.ts").write_bytes(2 * (tmp_path / "x.ts").read_bytes())
    times = decode(data_uri(tmp_path / "joined.ts"))[3]
    assert times == pytest.approx([i / 5 for i in range(20)], abs=2e-3)


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_is_no_video_is_said(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"x\.mp4: cannot be shown"):
        data_uri(tmp_path / "x.mp4")


def test_sound_alone_is_said(tmp_path):
    with av.open(str(tmp_path / "x.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with pytest.raises(VideoError, match="no video stream"):
        data_uri(tmp_path / "x.mp4")


def levels(uri):
    """Mean grey level of every frame of a clip, from 0 to 255."""
    with av.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as file:
        return [frame.to_ndarray(format="gray").mean() for frame in file.decode(video=0)]


@pytest.mark.parametrize("name", ["x.mp4", "x.webm", "x.avi"])
def test_of_an_interval_nothing_else_is_shown(tmp_path, name):
    """The grey level rises by 255 in 4 s: it is 127 after 2 s and 191 after 3 s."""
    encode(tmp_path / name, seconds=4)
    uri = data_uri(tmp_path / name, Interval(2.0, 3.0))
    media_type, codec, _, times = decode(uri)
    assert (media_type, codec) == ("video/mp4", "h264")
    assert times == pytest.approx([i / 10 for i in range(10)], abs=2e-3)
    assert levels(uri)[0] == pytest.approx(20 * 255 / 39, abs=8)
    assert levels(uri)[-1] == pytest.approx(29 * 255 / 39, abs=8)
    assert len(levels(data_uri(tmp_path / name, Interval(3.5)))) == 5


@pytest.mark.parametrize(
    ("interval", "level"), [((2.0, 3.0), 25), ((2.0, None), 30), ((0.0, 0.05), 0), ((3.8, 99.0), 38)]
)
def test_the_still_of_an_interval_is_of_its_middle(tmp_path, interval, level):
    """Where the file ends before the middle, it is the first frame of the interval."""
    encode(tmp_path / "x.mp4", seconds=4)
    still = base64.b64decode(still_uri(tmp_path / "x.mp4", Interval(*interval)).partition(",")[2])
    assert np.asarray(Image.open(io.BytesIO(still)).convert("L")).mean() == pytest.approx(level * 255 / 39, abs=8)


def test_an_interval_without_a_frame_is_said(tmp_path):
    encode(tmp_path / "x.mp4", seconds=1)
    for show in (data_uri, still_uri):
        with pytest.raises(VideoError, match=r"x\.mp4: cannot be shown: it has no frame from 5-6 s that decodes"):
            show(tmp_path / "x.mp4", Interval(5.0, 6.0))
