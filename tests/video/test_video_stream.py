"""Which stream of a file is its video."""

import av
import numpy as np
import pytest
from av.stream import Disposition

from pipeline.video.decoding import open_video, read_frames


def write_streams(path, streams):
    """Write streams, each given by its codec, number of frames, grey level and disposition."""
    with av.open(str(path), "w") as container:
        made = []
        for codec, num_frames, level, disposition in streams:
            stream = container.add_stream(codec, rate=10)
            stream.height, stream.width = 48, 80
            stream.pix_fmt = {"libx264": "yuv420p", "png": "rgb24", "mjpeg": "yuvj420p"}[codec]
            stream.disposition = disposition
            made.append((stream, num_frames, level))
        for stream, num_frames, level in made:
            for _ in range(num_frames):
                image = np.full((48, 80, 3), level, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image).reformat(format=stream.pix_fmt)))
            container.mux(stream.encode())


VIDEO, COVER = ("libx264", 12, 200), 40


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "png"), ("v.mov", "mjpeg"), ("v.mkv", "mjpeg")])
@pytest.mark.parametrize("cover", [Disposition.default, Disposition(0)])
@pytest.mark.parametrize("order", [1, -1])
def test_a_cover_is_not_the_video_whatever_it_is_called(tmp_path, name, codec, cover, order):
    video = (*VIDEO, Disposition(0) if cover else Disposition.default)
    write_streams(tmp_path / name, [video, (codec, 1, COVER, cover)][::order])
    found = open_video(tmp_path / name)
    assert len(found) == 12
    assert read_frames(found, [11]).mean() == pytest.approx(200, abs=3)


def test_of_two_videos_the_one_is_taken_that_players_show(tmp_path):
    streams = [("libx264", 5, 40, Disposition(0)), ("libx264", 7, 200, Disposition.default)]
    write_streams(tmp_path / "v.mkv", streams)
    assert len(open_video(tmp_path / "v.mkv")) == 7


@pytest.mark.parametrize("num_frames", [1, 3])
def test_a_file_of_pictures_alone_is_a_video(tmp_path, num_frames):
    write_streams(tmp_path / "v.mov", [("png", num_frames, 200, Disposition.default)])
    assert len(open_video(tmp_path / "v.mov")) == num_frames
