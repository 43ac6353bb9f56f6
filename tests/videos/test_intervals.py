"""A clip that is an interval of a file equals the clip that was cut out into a file of its own, in every bit."""

import numpy as np
import pytest
from toys.cut_files import cut
from video_corpus import B_FRAMES, GOOD, STEADY, made, picture

from pipeline.video.decoding import open_video, read_frames
from pipeline.video.clip_frames import clip_frames
from pipeline.video.frame_sampling import FramesRequest, read_sampled_frames
from pipeline.video.interval import Interval
from pipeline.video.windows import WindowRequest, read_windows, window_starts

OPEN_GROUPS = {**STEADY, "preset": "veryfast", "x264-params": "bframes=3:keyint=12:scenecut=0:open-gop=1"}
VARIABLE_MS = [0, 40, 80, 480, 520, 1000, 1040, 1900, 2000, 2300, 2340, 2380, 3000]
MAKERS = {
    "plain.mp4": made(40),
    "b_frames.mp4": made(40, codec_options=B_FRAMES),
    "b_frames.mkv": made(40, codec_options=B_FRAMES),
    "b_frames.avi": made(40, codec_options=B_FRAMES),  # its packets have no times: it is decoded from its start
    "mpeg4.avi": made(40, "mpeg4", codec_options=STEADY),
    "open_groups.mp4": made(40, codec_options=OPEN_GROUPS),
    "open_groups.mkv": made(40, codec_options=OPEN_GROUPS),
    "transport_stream.ts": made(40, codec_options=B_FRAMES),  # begins at 0.2 s of its own clock
    "trimmed_by_edit_list.mp4": GOOD["trimmed_by_edit_list.mp4"],
    "variable_rate.mkv": made(13, times_ms=VARIABLE_MS),
    "variable_rate.mp4": made(13, times_ms=VARIABLE_MS),
}
THIRDS = [(0.0, 1.0), (1.0, 2.3), (2.3, None)]
STARTS_AT_100_MS = {"b_frames.avi"}  # its first frame: starts that no frame is shown at would move the grid


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, make in MAKERS.items():
        make(folder / name)
    return folder


def sampled(path, interval=None, fps=4.0):
    request = FramesRequest(path, path.stat().st_size, fps, max_frames=20, short_side=448, interval=interval)
    return read_sampled_frames(request)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(("start", "stop"), THIRDS)
def test_frames_and_windows_are_those_of_the_cut_file(files, tmp_path, name, start, stop):
    path, alone = files / name, tmp_path / "alone.mp4"
    start += 0.1 if name in STARTS_AT_100_MS and start == 0 else 0
    interval = Interval(start, stop)
    inside = cut(path, alone, start, stop)
    assert len(inside) >= 3
    part, whole = sampled(path, interval), sampled(alone)
    assert part.suspect is None
    assert whole.suspect is None
    assert part.arrays.keys() == whole.arrays.keys()
    for key in ("pixels", "number", "size", "num_frames"):
        assert np.array_equal(part.arrays[key], whole.arrays[key]), key
    for key in ("time", "fps"):
        assert np.allclose(part.arrays[key], whole.arrays[key], atol=1e-3), key  # Matroska has milliseconds
    num_frames = int(part.arrays["num_frames"][0])
    assert num_frames == len(inside)
    starts = tuple(np.unique(window_starts(part.arrays["number"], num_frames, 16)).tolist())
    found = read_windows(WindowRequest(path, num_frames, starts, 16, 32, interval))
    assert np.array_equal(found, read_windows(WindowRequest(alone, num_frames, starts, 16, 32)))
    middle = read_windows(WindowRequest(path, None, None, 16, 32, interval))
    assert np.array_equal(middle, read_windows(WindowRequest(alone, None, None, 16, 32)))


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - {"trimmed_by_edit_list.mp4"}))
def test_intervals_that_meet_share_no_frame_and_lose_none(files, name):
    """Each frame shows its number, so that it is known which one was decoded."""
    numbers = []
    for start, stop in THIRDS:
        with open_video(files / name) as video:
            clip = clip_frames(video, Interval(start, stop))
            own = range(clip.first, clip.first + len(clip.times_F))
            for number, found in zip(own, read_frames(video, own), strict=True):
                assert np.abs(found.astype(float) - picture(number)).mean() < 8  # the next frame: 13 and more
            numbers += own
    assert numbers == list(range(13 if name.startswith("variable") else 40))
