import av
import numpy as np
import pytest

from pipeline.errors import VideoError
from pipeline.video.frame_sampling import FramesRequest, fit_short_side, mean_rate, read_sampled_frames, sample_frames


def constant(num_frames, rate, start=0.0):
    return start + np.arange(num_frames) / rate


def request_for(path, fps=2.0):
    return FramesRequest(path, path.stat().st_size, fps, max_frames=20, short_side=448)


@pytest.mark.parametrize(
    ("times", "fps", "max_frames", "expected"),
    [
        pytest.param(constant(30, 10), 2.0, 20, [0, 5, 10, 15, 20, 25], id="every half second of 3 s"),
        pytest.param(constant(30, 10, start=7.4), 2.0, 20, [0, 5, 10, 15, 20, 25], id="the first frame is not at 0"),
        pytest.param(constant(1, 10), 2.0, 20, [0], id="one frame"),
        pytest.param(constant(5, 10), 2.0, 20, [0], id="5 frames, 0.4 s"),
        pytest.param(constant(5, 10), 5.0, 20, [0, 2, 4], id="5 frames sampled faster"),
        pytest.param(constant(4, 5), 20.0, 20, [0, 1, 2, 3], id="no frame twice when sampled faster than filmed"),
        pytest.param(constant(3, 0.5), 2.0, 20, [0, 1, 2], id="less than a frame a second"),
        pytest.param(constant(101, 10), 0.2, 20, [0, 50, 100], id="a frame every 5 s"),
        pytest.param(constant(40, 10), 10.0, 4, [0, 13, 26, 39], id="at most 4 of 40, first and last among them"),
        pytest.param(constant(5, 10), 10.0, 4, [0, 1, 2, 4], id="4 of 5: rounded down"),
        pytest.param(constant(5, 10), 10.0, 2, [0, 4], id="the ends"),
        pytest.param(constant(5, 10), 10.0, 1, [0], id="a single one"),
        pytest.param(np.array([0, 0.1, 0.2, 2.0, 2.1, 2.2]), 1.0, 20, [0, 2, 3], id="still for 2 s: shown once"),
        pytest.param(np.array([0, 0.033, 0.067, 0.1]), 30.0, 20, [0, 1, 2, 3], id="rounded to ms, as in Matroska"),
    ],
)
def test_sample_frames(times, fps, max_frames, expected):
    assert sample_frames(times, fps, max_frames).tolist() == expected


def test_sampling_does_not_drift_at_29_97_frames_a_second():
    """Counting 29 frames a second, the integer part, would be 0.97 s early after 30 s."""
    times = constant(1799, 30000 / 1001)  # just under 60 s and a frame
    numbers = sample_frames(times, 1.0, 1000)
    assert len(numbers) == 60
    assert numbers[[1, 29, 30, 59]].tolist() == [29, 869, 899, 1768]
    seconds_late = np.arange(60) - times[numbers]
    assert (seconds_late > -1e-3).all()
    assert (seconds_late < 1001 / 30000).all()


def on_show_one_by_one(times, fps, begin):
    """The frames on show, instant by instant, as `sample_frames` says it."""
    shown, instant = set(), 0
    while begin + instant / fps <= times[-1] + 1e-3:
        shown.add(max(sum(time <= begin + instant / fps + 1e-3 for time in times) - 1, 0))
        instant += 1
    return sorted(shown)


@pytest.mark.parametrize("seed", range(40))
def test_the_search_over_frames_finds_what_each_instant_shows(seed):
    generator = np.random.default_rng(seed)
    times = np.cumsum(generator.choice([0.04, 0.04, 0.001, 0.0, 1.7], 30)) + generator.choice([0.0, 7.4])
    for fps in (0.3, 2.0, 23.976, 60.0):
        begin = float(times[0]) - generator.choice([0.0, 0.0005, 0.7])
        assert sample_frames(times, fps, 1000, begin).tolist() == on_show_one_by_one(times, fps, begin)


def test_a_clock_that_jumps_costs_no_memory():
    """At 1000 a second, an entry for each instant would be 12 TB."""
    times = np.concatenate([constant(20, 10), constant(20, 10, start=1.7e9)])
    assert sample_frames(times, 1000.0, 100).tolist() == list(range(40))
    assert sample_frames(times, 2.0, 100).tolist() == [0, 5, 10, 15, 19, 20, 25, 30, 35]


def test_times_that_go_backwards_are_refused():
    with pytest.raises(VideoError, match="do not ascend"):
        sample_frames(np.array([0.0, 0.2, 0.1]), 2.0, 20)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (240, 320, (240, 320)),  # never enlarged
        (448, 800, (448, 800)),
        (720, 1280, (448, 796)),  # 796.4
        (1280, 720, (796, 448)),  # upright
        (900, 900, (448, 448)),
        (1080, 1922, (448, 798)),  # 797.3
    ],
)
def test_fit_short_side(height, width, expected):
    assert fit_short_side(height, width, 448) == expected


def test_mean_rate():
    assert mean_rate(constant(31, 30000 / 1001)) == pytest.approx(29.97, abs=1e-3)
    assert mean_rate(np.array([0.0])) == 0


def test_frames_are_those_of_the_file(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 30, size_hw=(60, 90))
    arrays = read_sampled_frames(request_for(tmp_path / "v.mp4")).arrays
    with av.open(str(tmp_path / "v.mp4")) as container:
        expected = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert arrays["number"].tolist() == [0, 5, 10, 15, 20, 25]
    np.testing.assert_allclose(arrays["time"], [0, 0.5, 1, 1.5, 2, 2.5], atol=1e-5)
    assert arrays["size"].tolist() == [[60, 90]]
    assert arrays["num_frames"].tolist() == [30]
    assert arrays["fps"][0] == pytest.approx(10)
    pixels = arrays["pixels"].reshape(6, 60, 90, 3)
    assert np.abs(pixels.astype(int) - expected[[0, 5, 10, 15, 20, 25]]).mean() < 0.5


def test_large_frames_are_scaled_down(camera_clips):
    path = camera_clips["bigbuckbunny"]
    arrays = read_sampled_frames(request_for(path, fps=1.0)).arrays
    assert arrays["size"].tolist() == [[448, 796]]
    assert arrays["number"].tolist() == [0, 25, 50, 75, 100, 125]
    assert arrays["pixels"].shape == (6 * 448 * 796, 3)


def test_times_of_a_varying_frame_rate_are_kept(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 6, times_ms=[0, 40, 80, 480, 520, 2000])
    arrays = read_sampled_frames(request_for(tmp_path / "v.mp4")).arrays
    assert arrays["number"].tolist() == [0, 3, 4, 5]  # 0, 0.5, 1 and 1.5 s, 2 s
    np.testing.assert_allclose(arrays["time"], [0, 0.48, 0.52, 2.0], atol=1e-5)
