import io

import numpy as np
import pytest
from PIL import Image

from pipeline.artifact import each_video, write_json
from pipeline.artifact.clip_store import ClipStore
from pipeline.artifact.video_table import table_entry
from pipeline.config import ClippingSettings
from pipeline.errors import PipelineError
from pipeline.stages.decode_clips import run
from pipeline.video.decoding import frame_times, open_video, read_frames
from pipeline.video.frame_files import FrameFiles
from pipeline.video.interval import Interval

ALL = ClippingSettings(
    fps=None, max_frames=400, short_side=256, codec="jpeg", quality=90, time_limit=60.0, on_bad_video="record"
)
RAW = ALL.model_copy(update={"codec": "raw"})


def write_table(folder, *extra, files=True):
    videos = [
        table_entry(path.name, path.name, path.stat().st_size, None)
        for path in sorted(folder.iterdir())
        if path.is_file() and files
    ]
    (folder / "out").mkdir(exist_ok=True)
    write_json(folder / "out" / "videos.json", {"root": str(folder), "videos": [*videos, *extra]})
    return folder / "out" / "videos.json"


def decode(table, settings=ALL, name="clips.zarr", threads=1):
    run(table, table.parent / name, settings, threads)
    return ClipStore([table.parent / name])


def frame_folder(folder, num_frames, first=1, size=(32, 24), mode="RGB", suffix="jpg"):
    """A folder of frames that differ; its entry in a table of the folder above."""
    folder.mkdir()
    for number in range(first, first + num_frames):
        pixels = np.full((size[1], size[0]), 20 * number, np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number:05d}.{suffix}", quality=80)
    return folder


def folder_entry(folder, **files):
    size = sum(path.stat().st_size for path in folder.iterdir())
    return table_entry(folder.name, folder.name, size, None, FrameFiles("%05d.jpg", **files))


def test_every_frame_is_there_and_like_that_of_the_video(tmp_path, make_video):
    make_video(tmp_path / "a.mp4", 30)
    store = decode(write_table(tmp_path))
    with open_video(tmp_path / "a.mp4") as video:
        pixels, times = read_frames(video, range(30)), frame_times(video)
    assert (store.ids, store.num_frames("a.mp4"), store.size("a.mp4")) == (["a.mp4"], 30, pixels.shape[1:3])
    assert np.allclose(store.times("a.mp4"), times)
    assert np.abs(store.read("a.mp4", range(30)).astype(int) - pixels).mean() < 3
    raw = decode(write_table(tmp_path), RAW, "raw.zarr")
    assert np.array_equal(raw.read("a.mp4", [7, 3]), pixels[[7, 3]])


def test_frames_are_scaled_and_thinned_and_their_times_tell_so(tmp_path, make_video):
    make_video(tmp_path / "a.mp4", 30)
    with open_video(tmp_path / "a.mp4") as video:
        times = frame_times(video)
    table = write_table(tmp_path)
    few = decode(table, ALL.model_copy(update={"max_frames": 4, "short_side": 16}))
    assert np.allclose(few.times("a.mp4"), times[[0, 9, 19, 29]])
    assert min(few.size("a.mp4")) == 16
    slow = decode(table, ALL.model_copy(update={"fps": 5.0}), "slow.zarr")
    assert np.allclose(np.diff(slow.times("a.mp4")), 0.2, atol=1e-3)


def test_a_clip_is_an_interval_of_a_file(tmp_path, make_video):
    make_video(tmp_path / "a.mp4", 30)
    with open_video(tmp_path / "a.mp4") as video:
        times, pixels = frame_times(video), read_frames(video, range(30))
    part = Interval(float(times[10]), float(times[14]))
    size = (tmp_path / "a.mp4").stat().st_size
    entries = [table_entry("part", "a.mp4", size, part), table_entry("beyond", "a.mp4", size, Interval(99.0, 100.0))]
    store = decode(write_table(tmp_path, *entries, files=False), RAW)
    assert np.array_equal(store.read("part", range(4)), pixels[10:14])
    assert np.allclose(store.times("part"), times[10:14] - times[10], atol=1e-6)
    assert "no frame in its interval" in store.failed["beyond"]


def test_bad_videos_are_recorded_and_the_others_kept(tmp_path, make_video, bad_videos, capsys):
    make_video(tmp_path / "a.mp4", 3)
    make_video(tmp_path / "z.mp4", 60, options={"movflags": "faststart"})
    content = (tmp_path / "z.mp4").read_bytes()
    (tmp_path / "z.mp4").write_bytes(content[: (len(content) + content.index(b"mdat")) // 2])
    table = write_table(tmp_path)
    store = decode(table, threads=2)
    assert store.ids == ["a.mp4", "z.mp4"]
    assert "its header counts 60 frames" in store.suspect["z.mp4"]
    assert store.failed.keys() == bad_videos.keys()
    for name, reason in bad_videos.items():
        assert reason in store.failed[name]
    assert "left out: empty.mp4: the file is empty" in capsys.readouterr().err
    with pytest.raises(PipelineError, match=r"empty\.mp4 \(video empty\.mp4\): the file is empty.*in the clipping"):
        decode(table, ALL.model_copy(update={"on_bad_video": "fail"}), "strict.zarr")


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, make_video, monkeypatch):
    for number in range(3):
        make_video(tmp_path / f"{number}.mp4", 5 + number)
    table = write_table(tmp_path)
    decode(table, name="whole.zarr")

    def stopping(items, total, label, before):
        for number, item in enumerate(items):
            if number == 2:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patched:
        patched.setattr(each_video, "track", stopping)
        with pytest.raises(KeyboardInterrupt):
            decode(table, name="killed.zarr")
    decode(table, name="killed.zarr", threads=2)
    roots = [(tmp_path / "out" / name / "zarr.json").read_bytes() for name in ("whole.zarr", "killed.zarr")]
    assert roots[0] == roots[1]


def test_frames_of_a_folder_that_fit_are_taken_over_byte_for_byte(tmp_path):
    frames = frame_folder(tmp_path / "42", 5)
    grey = frame_folder(tmp_path / "grey", 2, first=0, mode="L")
    store = decode(write_table(tmp_path, folder_entry(frames, count=5), folder_entry(grey)))
    assert store.failed == {}
    files = b"".join(path.read_bytes() for path in sorted(frames.iterdir()))
    shard = store._shards[0]
    assert shard.video("42", ["byte"])["byte"].tobytes() == files
    third = np.asarray(Image.open(frames / "00003.jpg"))
    assert np.array_equal(store.read("42", [2])[0], third)
    assert np.allclose(store.times("42"), np.arange(5) / 12)
    assert store.read("grey", [1]).shape == (1, 24, 32, 1)


def test_frames_of_a_folder_that_do_not_fit_are_scaled(tmp_path):
    frames = frame_folder(tmp_path / "42", 3, size=(64, 48))
    table = write_table(tmp_path, folder_entry(frames))
    scaled = decode(table, ALL.model_copy(update={"short_side": 24, "max_frames": 2}))
    assert (scaled.size("42"), scaled.num_frames("42")) == ((24, 32), 2)
    assert abs(int(scaled.read("42", [1])[0, 5, 5, 0]) - 60) <= 3
    raw = decode(table, RAW, "raw.zarr")
    assert np.array_equal(raw.read("42", [1])[0], np.asarray(Image.open(frames / "00002.jpg")))


def test_a_frame_that_is_missing_or_bad_costs_the_clip_and_is_named(tmp_path):
    def cut(path):
        path.write_bytes(path.read_bytes()[:-20])

    def other_size(path):
        Image.new("RGB", (40, 24)).save(path)

    def png(path):
        content = io.BytesIO()
        Image.open(path).save(content, "PNG")
        path.write_bytes(content.getvalue())

    damages = {
        "gone": (lambda path: path.unlink(), "1 of its 5 frames are missing: 00003.jpg"),
        "cut": (cut, "frame 00003.jpg cannot be read (image file is truncated"),
        "text": (lambda path: path.write_text("no picture"), "frame 00003.jpg is no picture"),
        "size": (other_size, "frame 00003.jpg has 40 x 24 pixels, the first one 32 x 24"),
        "png": (png, None),
        "whole": (lambda path: path.touch(), None),
    }
    entries = []
    for name, (damage, _) in damages.items():
        folder = frame_folder(tmp_path / name, 5)
        damage(folder / "00003.jpg")
        entries.append(folder_entry(folder, count=5))
    fewer = frame_folder(tmp_path / "fewer", 5)
    entries += [folder_entry(fewer, count=9)]
    entries += [table_entry("nowhere", "nowhere", 9, None, FrameFiles("%05d.jpg", count=5))]
    entries += [folder_entry(frame_folder(tmp_path / "called otherwise", 2, suffix="png"))]
    entries += [folder_entry(frame_folder(tmp_path / "grown", 2)) | {"size": 9}]
    store = decode(write_table(tmp_path, *entries))
    assert store.ids == ["png", "whole"]
    for name, (_, reason) in damages.items():
        assert reason is None or reason in store.failed[name]
    assert "4 of its 9 frames are missing: 00006.jpg, 00007.jpg, 00008.jpg and 1 more" in store.failed["fewer"]
    assert store.failed["nowhere"] == "no such folder of frames"
    assert "no frame that is called as %05d.jpg" in store.failed["called otherwise"]
    assert "they had 9 when they were indexed" in store.failed["grown"]


def test_a_folder_has_no_rate(tmp_path):
    table = write_table(tmp_path, folder_entry(frame_folder(tmp_path / "42", 2)))
    with pytest.raises(PipelineError, match="clip 42 is a folder of frames, which has no times: set `fps: null`"):
        decode(table, ALL.model_copy(update={"fps": 5.0}))
