"""Whatever a file does to its readers, it costs one video."""

import errno
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import PipelineError, VideoError
from pipeline.video import decoding, windows
from pipeline.video.frame_sampling import FramesRequest, read_sampled_frames
from pipeline.video.mishaps import costing_one_video
from pipeline.video.windows import WindowRequest, read_window_frames


@pytest.fixture
def video(tmp_path, make_video):
    make_video(tmp_path / "v.mp4", 30)
    return tmp_path / "v.mp4"


def both(path):
    """What both readers of videos say, each as the text of its VideoError; "" where all went well."""
    said = []
    sampling = FramesRequest(path, path.stat().st_size, fps=2.0, max_frames=20, short_side=448)
    for read, request in (
        (read_sampled_frames, sampling),
        (read_window_frames, WindowRequest(path, None, (0,), 16, 32)),
    ):
        try:
            read(request)
            said.append("")
        except VideoError as error:
            said.append(str(error))
    return said


def test_a_file_that_may_not_be_read(video, monkeypatch):
    """A mode of 0 does not stop root, so what opens files refuses here as it does for others."""

    def refuse(*_, **__):
        raise av.error.PermissionError(errno.EACCES, "Permission denied", str(video))

    monkeypatch.setattr(av, "open", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    video.chmod(0)
    assert both(video) == ["it cannot be read (Permission denied)"] * 2


def test_an_error_of_our_own_names_itself_and_its_place(video, monkeypatch, caplog):
    def stumble(*_, **__):
        np.zeros((2, 3))[0] = np.zeros(4)

    monkeypatch.setattr(decoding.Video, "_found", stumble)
    monkeypatch.setattr(decoding, "suits", lambda *_: False)
    expected = "its readers stumbled over it (ValueError in _read: could not broadcast input array from shape (4,)"
    assert [said.startswith(expected) for said in both(video)] == [True, True]
    assert [record.exc_info[0] for record in caplog.records] == [ValueError, ValueError]  # the log has the traceback


def test_a_file_that_takes_all_memory(video, monkeypatch):
    def swell(*_, **__):
        raise MemoryError

    monkeypatch.setattr(windows, "clip_frames", swell)
    assert both(video) == ["", "reading it takes more memory than there is"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.ESTALE])
def test_what_every_video_would_meet_stops_the_job_in_a_line(number):
    with (
        pytest.raises(PipelineError, match=r"no fault of a video: mend it and call again$") as raised,
        costing_one_video(),
    ):
        raise OSError(number, "cannot", "/tmp/x")
    assert not isinstance(raised.value, VideoError)


def test_errors_of_the_user_and_of_the_installation_pass():
    with pytest.raises(VideoError, match=r"^as it is$"), costing_one_video():
        raise VideoError("as it is")
    with pytest.raises(ImportError), costing_one_video():
        raise ImportError("decord")


def test_a_clock_that_jumps_to_our_days(tmp_path, make_video):
    """A camera whose clock was set while it recorded: 20 frames since the start, then 20 since 1970."""
    since_1970 = 1_700_000_000_000
    times_ms = [100 * n for n in range(20)] + [since_1970 + 100 * n for n in range(20, 40)]
    make_video(tmp_path / "v.mkv", 40, times_ms=times_ms)
    path = tmp_path / "v.mkv"
    arrays = read_sampled_frames(FramesRequest(path, path.stat().st_size, 2.0, 20, 448)).arrays
    assert arrays["number"].tolist() == [0, 5, 10, 15, 19, 20, 25, 30, 35]  # on show at n / 2 s; 19 for fifty years
    assert len(arrays["pixels"]) == 9 * 48 * 80
