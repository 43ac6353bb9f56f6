"""What the pages show of a file is what the readers see in it: the same stream, turned and mirrored alike."""

import base64
import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from toys.turned_videos import MATRICES, corners, filmed
from toys.videos import encode
from videos.video_corpus import made

from pipeline.report.clips import data_uri, playable_as, still_uri
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.interval import Interval


def seen(path: Path) -> np.ndarray:
    with open_video(path) as video:
        return read_frames(video, [10])[0]


def shown(uri: str) -> np.ndarray:
    content = io.BytesIO(base64.b64decode(uri.partition(",")[2]))
    if uri.startswith("data:image"):
        return np.asarray(Image.open(content).convert("RGB"))
    with av.open(content) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


def far(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("how", MATRICES)
def test_clips_and_stills_stand_as_the_readers_see_them(tmp_path, how):
    path = filmed(tmp_path / "v.mp4", MATRICES[how])
    expected = seen(path)
    for interval in (None, Interval(0.5, 1.5)):
        assert far(shown(data_uri(path, interval)), expected) < 10
        assert far(shown(still_uri(path, interval)), expected) < 10
    assert (playable_as(path) is None) == (how not in ("as stored", "a degree off"))


def test_a_cover_is_not_shown_in_the_place_of_the_video(tmp_path):
    """A picture as the first stream of the file, as downloaders put it in."""
    film, path = tmp_path / "film.mp4", tmp_path / "v.mp4"
    encode(film, [corners()] * 20, 10)
    with av.open(str(film)) as source, av.open(str(path), "w") as target:
        cover = target.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 320, 240, "yuvj420p"
        copy = target.add_stream_from_template(source.streams.video[0])
        picture = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 200, np.uint8)).reformat(format="yuvj420p")
        target.mux(cover.encode(picture))
        target.mux(cover.encode(None))
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    assert seen(path).shape == (48, 80, 3)
    assert far(shown(data_uri(path)), seen(path)) < 10
    assert far(shown(still_uri(path)), seen(path)) < 10


def test_damage_in_the_middle_does_not_end_a_clip(tmp_path):
    """Packets that do not decode are passed over, as the readers do."""
    made(20, "mjpeg", pix_fmt="yuvj420p", codec_options={"threads": "1"})(tmp_path / "v.avi")
    content = bytearray((tmp_path / "v.avi").read_bytes())
    place = content.index(b"00dc", len(content) // 3)
    content[place + 8 : place + 300] = bytes(292)
    (tmp_path / "v.avi").write_bytes(content)
    with av.open(io.BytesIO(base64.b64decode(data_uri(tmp_path / "v.avi").partition(",")[2]))) as file:
        assert len(list(file.decode(video=0))) >= 18
