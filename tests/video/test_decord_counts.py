"""decord finds a frame by counting those that come out behind a key frame; files in which it miscounts are PyAV's."""

import io

import av
import numpy as np
import pytest
from videos.video_corpus import B_FRAMES, STEADY, made

from pipeline.video.frame_sampling import FramesRequest, read_sampled_frames
from pipeline.video.packet_index import num_held_back


@pytest.mark.parametrize(
    ("pts", "expected"),
    [
        ([], 0),
        ([5], 0),
        ([0, 1, 2, 3], 0),
        ([0, 2, 1, 4, 3], 1),
        ([0, 4, 2, 1, 3, 8, 6, 5, 7], 2),  # 1 comes behind 4 and 2
        ([0, 3, 2, 1], 2),
        (list(range(40, 0, -1)), 16),  # more than any decoder holds
    ],
)
def test_frames_held_back(pts, expected):
    assert num_held_back(pts) == expected


def sampled(path):
    return read_sampled_frames(FramesRequest(path, path.stat().st_size, 5.0, 12, 448))


def in_order(path):
    with av.open(io.BytesIO(path.read_bytes())) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def far(arrays, expected):
    pixels = arrays["pixels"].reshape(len(arrays["number"]), *expected[0].shape)
    wanted = np.stack([expected[number] for number in arrays["number"]])
    return np.abs(pixels.astype(int) - wanted).mean(axis=(1, 2, 3)).max()


@pytest.mark.parametrize(("codec", "pix_fmt"), [("huffyuv", "yuv422p"), ("mjpeg", "yuvj420p")])
@pytest.mark.parametrize("entry", [1, 7])
def test_an_avi_whose_index_lacks_a_frame(tmp_path, codec, pix_fmt, entry):
    """An entry of the index that names another chunk: decord's seeks are one frame off behind it."""
    path = tmp_path / "v.avi"
    made(24, codec, pix_fmt=pix_fmt, codec_options=STEADY)(path)
    content = bytearray(path.read_bytes())
    place = content.index(b"idx1") + 8 + 16 * entry
    assert content[place : place + 4] == b"00dc"
    content[place : place + 4] = bytes(4)
    path.write_bytes(content)
    expected = in_order(path)
    assert len(expected) == 24
    assert far(sampled(path).arrays, expected) < 2


def test_a_decoder_that_is_told_to_hold_back_too_few_drops_a_frame(tmp_path):
    """The end of the sequence header, where H.264 says how many: all later frames were one off, and nothing said."""
    path = tmp_path / "v.mkv"
    made(24, codec_options=B_FRAMES)(path)
    content = path.read_bytes()
    assert content.count(bytes.fromhex("40f12259")) == 1
    path.write_bytes(content.replace(bytes.fromhex("40f12259"), bytes.fromhex("40ffff59")))
    assert len(in_order(path)) == 23
    found = sampled(path)
    assert found.suspect == "frames lost among those decoded: 1"
    made(24, codec_options=B_FRAMES)(path)
    assert far(found.arrays, in_order(path)) < 2  # as if none were lost: it is none of the sampled ones
