from pathlib import Path

import pytest

from pipeline.artifact import ArtifactError, write_json
from pipeline.artifact.video_table import Clip, read_all_clips, read_clips, table_entry, total_size
from pipeline.video.interval import Interval

WHOLE = {"id": "b", "path": "sub/b.mp4", "size": 5}
PART = {"id": "a", "path": "long.mp4", "size": 9, "start": 1.5, "stop": 2}
REST = {"id": "c", "path": "long.mp4", "size": 9, "start": 2}


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
    for entry in (WHOLE, PART, REST):
        (clip,) = read_clips(write(tmp_path / "t.json", entry)).values()
        assert table_entry(clip.id, clip.path, clip.size, clip.interval) == entry


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
