"""Which frames a window has, how they are cut, and what becomes of videos that cannot be decoded."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pipeline.errors import VideoError
from pipeline.video import windows
from pipeline.video.decoding import open_video, read_frames
from pipeline.video.windows import WindowRequest, read_windows, square_within_margin, window_frames, window_starts


@pytest.mark.parametrize(
    ("num_frames", "numbers", "expected"),
    [
        (1, [0], [0]),
        (5, [0, 2, 4], [0, 0, 0]),
        (15, [0, 7, 14], [0, 0, 0]),
        (16, [0, 8, 15], [0, 0, 0]),
        (17, [0, 15, 16], [0, 0, 1]),
        (40, [0, 15, 16, 31, 32, 39], [0, 0, 16, 16, 24, 24]),
        (48, [31, 32, 47], [16, 32, 32]),
    ],
)
def test_window_starts(num_frames, numbers, expected):
    starts = window_starts(np.array(numbers, dtype=np.int32), num_frames, 16)
    assert starts.tolist() == expected
    assert starts.dtype == np.int32


def test_short_videos_repeat_their_last_frame():
    assert window_frames(0, 1, 16).tolist() == [0] * 16
    assert window_frames(0, 5, 16).tolist() == [0, 1, 2, 3] + [4] * 12
    assert window_frames(0, 15, 16).tolist() == [*range(15), 14]
    assert window_frames(1, 17, 16).tolist() == list(range(1, 17))


@pytest.mark.parametrize(("height", "width"), [(48, 80), (80, 48), (61, 61), (17, 200), (300, 401)])
def test_square_within_margin_scales_as_torchvision_does(height, width):
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    cut = square_within_margin(frame, 32)
    assert cut.shape == (32, 32, 3)
    short = min(height, width)
    new = (37 * height // short, 37 * width // short)  # 37: 256/224 of 32, rounded
    scaled = F.interpolate(torch.from_numpy(frame).permute(2, 0, 1)[None], new, mode="bilinear", antialias=True)[0]
    top, left = round((new[0] - 32) / 2), round((new[1] - 32) / 2)
    expected = scaled[:, top : top + 32, left : left + 32].permute(1, 2, 0).numpy()
    assert np.abs(cut.astype(int) - expected).max() <= 1  # of 255: the two round differently


def test_read_windows_decodes_a_shared_frame_once(tmp_path, make_video, monkeypatch):
    path = tmp_path / "video.mp4"
    make_video(path, 40)
    asked = []

    def counting(video, numbers, **how):
        asked.extend(int(number) for number in numbers)
        return read_frames(video, numbers, **how)

    monkeypatch.setattr(windows, "read_frames", counting)
    found = read_windows(WindowRequest(path, 40, (16, 24), 16, 32))
    assert asked == list(range(16, 40))
    every = [square_within_margin(frame, 32) for frame in read_frames(open_video(path), range(40))]
    assert found.shape == (2, 16, 32, 32, 3)
    assert np.array_equal(found[0], every[16:32])
    assert np.array_equal(found[1], every[24:40])


def test_read_windows_pads_short_videos(tmp_path, make_video):
    path = tmp_path / "short.mp4"
    make_video(path, 5)
    found = read_windows(WindowRequest(path, 5, (0,), 16, 32))[0]
    assert not np.array_equal(found[3], found[4])
    assert all(np.array_equal(found[4], frame) for frame in found[5:])


def test_read_windows_finds_the_middle(tmp_path, make_video):
    path = tmp_path / "video.mp4"
    make_video(path, 40)
    middle = read_windows(WindowRequest(path, None, None, 16, 32))
    assert np.array_equal(middle, read_windows(WindowRequest(path, 40, (16,), 16, 32)))


def test_a_file_that_changed_is_refused(tmp_path, make_video):
    path = tmp_path / "video.mp4"
    make_video(path, 20)
    with pytest.raises(VideoError, match="it has 20 frames, but had 40 when its frames were sampled"):
        read_windows(WindowRequest(path, 40, (0,), 16, 32))
