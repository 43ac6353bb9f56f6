import numpy as np
import pytest
from PIL import Image

from pipeline.errors import VideoError
from pipeline.video import frame_folder
from pipeline.video.clip_encoding import ClipRequest, EncodedFrames, kept_frames, read_clip
from pipeline.video.frame_files import FrameFiles
from pipeline.video.frame_folder import FrameFolder, frame_sizes
from pipeline.video.jpeg import decode_jpeg


@pytest.mark.parametrize(
    ("fps", "max_frames", "kept"),
    [
        (None, 400, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (None, 9, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (None, 5, [0, 2, 4, 6, 8]),
        (None, 4, [0, 2, 5, 8]),
        (None, 1, [0]),
        (5.0, 400, [0, 2, 4, 6, 8]),
        (5.0, 2, [0, 8]),
    ],
)
def test_which_frames_are_kept(fps, max_frames, kept):
    assert kept_frames(np.arange(9) / 10, fps, max_frames).tolist() == kept


def test_frames_of_one_time_are_all_kept_and_a_clock_that_runs_back_is_refused():
    assert kept_frames(np.array([0.0, 0.5, 0.5, 1.0]), None, 10).tolist() == [0, 1, 2, 3]
    with pytest.raises(VideoError, match="do not ascend"):
        kept_frames(np.array([0.0, 0.5, 0.4]), None, 10)


@pytest.mark.parametrize("quality", [None, 95])
def test_a_lost_frame_is_the_one_before_and_one_that_comes_again_replaces_it(quality):
    levels = [np.full((8, 8, 3), level, np.uint8) for level in (10, 90, 200)]
    frames = EncodedFrames(3, (8, 8, 3), quality)
    for row, frame in enumerate([levels[2], levels[1], None]):
        frames.keep(row, frame)
    frames.keep(0, levels[0])
    arrays = frames.arrays(np.array([0.0, 0.1, 0.2]))
    ends = arrays["frame_end"].tolist()
    parts = [arrays["byte"][start:end] for start, end in zip([0, *ends], ends, strict=False)]
    shown = [part.reshape(8, 8, 3) if quality is None else decode_jpeg(part.tobytes(), (8, 8, 3)) for part in parts]
    assert [int(pixels[0, 0, 0]) for pixels in shown] == pytest.approx([10, 90, 90], abs=2)


def test_clips_may_be_runs_of_one_folder(tmp_path):
    for number in range(1, 9):
        Image.new("L", (16, 16), 20 * number).save(tmp_path / f"frame_{number}.jpg")
    num_bytes = sum(frame_sizes(tmp_path, FrameFiles("frame_%d.jpg")).values())

    def run(first, count):
        files = FrameFiles("frame_%d.jpg", first, count)
        return read_clip(ClipRequest(tmp_path, num_bytes, None, 400, None, 90, None, files)).arrays

    found = run(4, 3)
    expected = [(tmp_path / f"frame_{number}.jpg").read_bytes() for number in (4, 5, 6)]
    assert found["byte"].tobytes() == b"".join(expected)
    assert found["frame_end"].tolist() == np.cumsum([len(content) for content in expected]).tolist()
    assert found["colours"].tolist() == [1]
    with pytest.raises(VideoError, match=r"2 of its 4 frames are missing: frame_9\.jpg, frame_10\.jpg"):
        run(7, 4)


def test_a_folder_is_listed_once_for_all_the_runs_of_its_frames(tmp_path, monkeypatch):
    """A long video has hundreds of clips and a hundred thousand frames."""
    for number in range(1, 5):
        Image.new("L", (4, 4)).save(tmp_path / f"{number}.png")
    size = sum(frame_sizes(tmp_path, FrameFiles("%d.png")).values())
    listed = []
    monkeypatch.setattr(frame_folder, "frame_sizes", lambda *of: listed.append(of) or frame_sizes(*of))
    assert [len(FrameFolder(tmp_path, FrameFiles("%d.png", first, 2), size)) for first in (1, 2, 3)] == [2, 2, 2]
    assert len(listed) == 1
