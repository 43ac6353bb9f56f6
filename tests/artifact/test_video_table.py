from pathlib import Path

import pytest

from pipeline.artifact import ArtifactError, write_json
from pipeline.artifact.video_table import Clip, read_all_clips, read_clips, table_entry, total_size
from pipeline.video.frame_files import FrameFiles
from pipeline.video.interval import Interval

WHOLE = {"id": "b", "path": "sub/b.mp4", "size": 5}
PART = {"id": "a", "path": "long.mp4", "size": 9, "start": 1.5, "stop": 2}
REST = {"id": "c", "path": "long.mp4", "size": 9, "start": 2}
FRAMES = {"id": "d", "path": "77", "size": 4, "pattern": "%05d.jpg", "first": 3, "frames": 12, "lacking": 2}


def write(path, *entries):
    write_json(path, {"root": "data", "videos": list(entries)})
    return path


def test_clips_come_in_the_order_of_the_table(tmp_path):
    clips = read_clips(write(tmp_path / "t.json", WHOLE, PART, REST))
    assert list(clips.values()) == [
        Clip("b", "sub/b.mp4", Path("data/sub/b.mp4"), 5, None),
        Clip("a", "long.mp4", Path("data/long.mp4"), 9, Interval(1.5, 2.0)),
        Clip("c", "long.mp4", Path("data/long.mp4"), 9, Interval(2.0)),
    ]
    assert list(clips) == ["b", "a", "c"]


def test_an_interval_without_a_start_begins_with_the_file(tmp_path):
    clips = read_clips(write(tmp_path / "t.json", WHOLE | {"stop": 3.5}))
    assert clips["b"].interval == Interval(0.0, 3.5)


def test_tables_of_several_shards_and_files_counted_once(tmp_path):
    tables = [write(tmp_path / "0.json", PART), write(tmp_path / "1.json", WHOLE, REST)]
    clips = read_all_clips(tables)
    assert list(clips) == ["a", "b", "c"]
    assert total_size(clips.values()) == 14


def test_entries_are_written_as_they_are_read(tmp_path):
    for entry in (WHOLE, PART, REST, FRAMES, FRAMES | {"first": 0}, WHOLE | {"pattern": "%d.png"}):
        (clip,) = read_clips(write(tmp_path / "t.json", entry)).values()
        assert table_entry(clip.id, clip.path, clip.size, clip.interval, clip.frames, clip.lacking) == entry


def test_a_folder_of_frames(tmp_path):
    (clip,) = read_clips(write(tmp_path / "t.json", FRAMES)).values()
    assert clip == Clip("d", "77", Path("data/77"), 4, None, FrameFiles("%05d.jpg", 3, 12), 2)
    assert clip.is_folder
    assert not read_clips(write(tmp_path / "t.json", PART))["a"].is_folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pattern": "frame.jpg"}, r"`videos\.0`: `frame.jpg` is no pattern of frames"),
        ({"pattern": "../%05d.jpg"}, "is no pattern of frames"),
        ({"frames": 0}, r"`videos\.0\.frames`: Input should be greater than or equal to 1"),
        ({"first": -1}, r"`videos\.0\.first`: Input should be greater than or equal to 0"),
        ({"start": 1.0}, "a folder of frames has no `start` and `stop` in seconds"),
    ],
)
def test_what_is_no_folder_of_frames_is_refused(tmp_path, changes, message):
    with pytest.raises(ArtifactError, match=message):
        read_clips(write(tmp_path / "t.json", FRAMES | changes))
    with pytest.raises(ArtifactError, match="which has a `pattern`"):
        read_clips(write(tmp_path / "t.json", WHOLE | {"frames": 3}))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({"start": -1}, r"`videos\.0\.start`: Input should be greater than or equal to 0"),
        ({"start": 2, "stop": 2}, r"`videos\.0`: `start` is 2 and `stop` 2: `stop` must come after `start`"),
        ({"stop": 0}, r"`videos\.0`: `start` is 0 and `stop` 0"),
        ({"stop": "3"}, r"`videos\.0\.stop`: Input should be a valid number"),
        ({"start": True}, r"`videos\.0\.start`: Input should be a valid number"),
        ({"start": None}, r"`videos\.0\.start`: Input should be a valid number"),
        ({"start": float("nan")}, r"`videos\.0\.start`: Input should be"),
        ({"stop": float("inf")}, r"`videos\.0\.stop`: Input should be a finite number"),
    ],
)
def test_what_is_no_interval_is_refused_with_its_place(tmp_path, times, message):
    with pytest.raises(ArtifactError, match=message):
        read_clips(write(tmp_path / "t.json", WHOLE | times))
