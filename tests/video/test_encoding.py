from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.video.encoding import encode


@pytest.mark.parametrize(("container", "codec"), [("mp4", "h264"), ("webm", "vp9"), ("avi", "mpeg4")])
def test_codecs_keep_every_frame_in_its_place(tmp_path, container, codec):
    frames = np.stack([np.full((36, 48, 3), 20 * number, dtype=np.uint8) for number in range(12)])
    path = tmp_path / f"grey.{container}"
    path.write_bytes(encode(frames, Fraction(25, 2), container))
    with av.open(str(path)) as file:
        assert file.streams.video[0].codec_context.name.removeprefix("lib").startswith(codec)
        decoded = list(file.decode(video=0))
    assert [frame.time for frame in decoded] == pytest.approx([number / 12.5 for number in range(12)], abs=0.001)
    means = [frame.to_ndarray(format="rgb24").mean() for frame in decoded]
    assert means == pytest.approx([20 * number for number in range(12)], abs=4)


def test_bytes_do_not_depend_on_what_was_encoded_before():
    """x264 reads memory it never wrote in narrow frames when mbtree is on; other clips in between make it show."""
    rng = np.random.default_rng(0)
    sizes = [(48, 48), (64, 86), (72, 72), (48, 64), (64, 114), (72, 96)]
    clips = [rng.integers(90, 130, (20, *size, 3), dtype=np.uint8) for size in sizes]
    for number, clip in enumerate(clips):
        clip[:, 10:30, 10 + number : 30] = 20
    first = [encode(clip, Fraction(10), "mp4") for clip in clips]
    for turn in range(4):
        for number in rng.permutation(len(clips)):
            assert encode(clips[number], Fraction(10), "mp4") == first[number], (turn, sizes[number])
