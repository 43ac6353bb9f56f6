import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.datasets.clip_list import read_clip_list
from pipeline.datasets.folder import list_videos
from pipeline.datasets.readers import listing_digests
from pipeline.datasets.sharding import shard_of
from pipeline.errors import PipelineError
from pipeline.video.interval import Interval


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("talk.mp4", "sub/b, c.mp4"):
        (tmp_path / name).write_bytes(b"xyz")
    return tmp_path


def write(folder, text, name="clips.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def read(folder, text, name="clips.csv"):
    return {clip.id: (clip.path, clip.interval) for clip in read_clip_list(write(folder, text, name))}


CLIPS = {
    "talk.mp4@0-12.5": ("talk.mp4", Interval(0.0, 12.5)),
    "talk.mp4@12.5-20": ("talk.mp4", Interval(12.5, 20.0)),
    "talk.mp4@20-": ("talk.mp4", Interval(20.0)),
    "sub/b, c.mp4": ("sub/b, c.mp4", None),
}


def test_intervals_are_called_by_path_and_seconds(folder):
    text = 'video,start,stop\ntalk.mp4,12.5,20\n"sub/b, c.mp4",,\ntalk.mp4,20,\n\n./talk.mp4, ,12.50\n'
    assert read(folder, text) == CLIPS


def test_tab_separated_and_json_lines_say_the_same(folder):
    text = "stop\tvideo\tstart\n20\ttalk.mp4\t12.5\n\tsub/b, c.mp4\t\n\ttalk.mp4\t2e1\n12.5\ttalk.mp4\t\n"
    assert read(folder, text, "clips.tsv") == CLIPS
    rows = [
        {"video": "talk.mp4", "stop": 12.5},
        {"video": "talk.mp4", "start": 12.5, "stop": 20},
        {"video": "talk.mp4", "start": 20, "stop": None},
        {"video": "sub/b, c.mp4"},
    ]
    assert read(folder, "\n".join(map(json.dumps, rows)), "clips.jsonl") == CLIPS


def test_a_column_may_name_the_clips(folder):
    text = "id,video,start,stop\nopening,talk.mp4,0,5\n,talk.mp4,5,9\nwhole,talk.mp4,,\ncafe\u0301,talk.mp4,0,5\n"
    assert read(folder, text) == {
        "caf\u00e9": ("talk.mp4", Interval(0.0, 5.0)),  # intervals may overlap, and even be the same
        "opening": ("talk.mp4", Interval(0.0, 5.0)),
        "talk.mp4@5-9": ("talk.mp4", Interval(5.0, 9.0)),
        "whole": ("talk.mp4", None),
    }


def test_clips_come_by_id_with_the_size_of_their_file(folder):
    clips = list_videos(write(folder, "video,start,stop\ntalk.mp4,5,9\ntalk.mp4,0,5\n"))
    assert [(clip.id, clip.size) for clip in clips] == [("talk.mp4@0-5", 3), ("talk.mp4@5-9", 3)]


def test_other_lists_name_a_path_a_line(folder):
    assert [(v.id, v.interval) for v in list_videos(write(folder, "talk.mp4\n", "list.txt"))] == [("talk.mp4", None)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.csv", "video,start,stop\ntalk.mp4,5,5\n", r"c\.csv:2: `start` is 5 and `stop` 5: `stop` must come after"),
        (
            "c.csv",
            "video,start\ntalk.mp4,1\ntalk.mp4,-1\n",
            r"c\.csv:3: `start` is -1: expected seconds from the file's",
        ),
        ("c.csv", "video,stop\ntalk.mp4,nan\n", r"c\.csv:2: `stop` is 'nan': expected seconds, such as 90 or 12\.5"),
        ("c.csv", "video,stop\ntalk.mp4,1:30\n", r"c\.csv:2: `stop` is '1:30': expected seconds"),
        ("c.csv", "video,stop\ntalk.mp4,1_0\n", r"c\.csv:2: `stop` is '1_0': expected seconds"),
        ("c.csv", "video,stop\ntalk.mp4,1e999\n", r"c\.csv:2: `stop` is inf: expected seconds"),
        ("c.csv", "video,stop\ntalk.mp4,0\n", r"c\.csv:2: `start` is 0 and `stop` 0: `stop` must come after"),
        (
            "c.csv",
            "video\ntalk.mp4\ntalk.mp4\n",
            r"c\.csv:3: talk\.mp4 is there without .* at .*c\.csv:2 already: give",
        ),
        ("c.csv", "video,id\ntalk.mp4,a\ntalk.mp4,b\n", r"c\.csv:3: talk\.mp4 is there without `start` and `stop` at"),
        ("c.csv", "video,id,stop\ntalk.mp4,a,1\ntalk.mp4,a,2\n", r"c\.csv:3: a clip a is at .*c\.csv:2 already: give"),
        ("c.csv", "video,stop\ntalk.mp4,1\ntalk.mp4,1.0\n", r"c\.csv:3: a clip talk\.mp4@0-1 is at .*c\.csv:2 already"),
        ("c.csv", "video,stop\nno.mp4,1\n", r"c\.csv:2: there is no file no\.mp4 \(relative paths start at"),
        ("c.csv", "video,stop\n,1\n", r"c\.csv:2: `video` must be the path of a file"),
        ("c.csv", "talk.mp4\n", r"c\.csv:1: expected the header `video`, and perhaps .* a \.txt file\), found \['talk"),
        ("c.csv", "", r"c\.csv:1: expected the header `video`"),
        ("c.csv", "video\n", r"c\.csv`: no clip in it: expected rows with `video`"),
        ("c.csv", "video,video\na,b\n", r"c\.csv:1: expected the header"),
        (
            "c.csv",
            "video,stop\ntalk.mp4,1,2\n",
            r"c\.csv:2: expected 2 fields, found 3: quote fields that hold a comma",
        ),
        ("c.tsv", "video\tstop\ntalk.mp4\n", r"c\.tsv:2: expected 2 fields, found 1: quote fields that hold a tab"),
        ("c.jsonl", '{"video": "talk.mp4", "end": 3}', r"c\.jsonl:1: unknown keys end: expected video and perhaps"),
        ("c.jsonl", '{"video": "talk.mp4", "stop": "x"}', r"c\.jsonl:1: `stop` is 'x': expected seconds"),
        ("c.jsonl", '{"video": "talk.mp4", "stop": true}', r"c\.jsonl:1: `stop` is 'True': expected seconds"),
        ("c.jsonl", '{"video": "talk.mp4", "start": NaN}', r"c\.jsonl:1: `start` is nan: expected seconds"),
        ("c.jsonl", '{"video": "talk.mp4", "stop": 1%s}' % ("0" * 400), r"c\.jsonl:1: `stop` is '1000"),
        ("c.jsonl", '{"video": "talk.mp4", "id": 3}', r"c\.jsonl:1: `id` must be a text of at most 1,024 characters"),
        ("c.jsonl", '{"video": "talk.mp4", "id": "a\\nb"}', r"c\.jsonl:1: `id` must be a text"),
        ("c.jsonl", "[]", r'c\.jsonl:1: expected \{"video": "talk\.mp4", "start": 12\.5, "stop": 20\}'),
    ],
)
def test_mistakes_are_told_with_their_row(folder, name, text, message):
    with pytest.raises(PipelineError, match=message) as raised:
        read_clip_list(write(folder, text, name))
    assert "\n" not in str(raised.value)


@given(
    st.sampled_from(["c.csv", "c.tsv", "c.jsonl"]),
    st.integers(0, 60),
    st.sampled_from(
        ["", '"', "\0", ",", "\t", "-", "e9", "1" * 400, "\ud800", "\\ud800", "\r", "\u2028", "{", "nan", "/"]
    ),
)
@settings(max_examples=150, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_a_list_with_anything_in_it_is_read_or_refused_in_a_line(folder, name, place, what):
    whole = {
        "c.csv": "id,video,start,stop\na,talk.mp4,1.5,2\nb,talk.mp4,2,\n",
        "c.tsv": "id\tvideo\tstart\tstop\na\ttalk.mp4\t1.5\t2\n",
        "c.jsonl": '{"id": "a", "video": "talk.mp4", "start": 1.5, "stop": 2}\n',
    }[name]
    content = (whole[:place] + what + whole[place:]).encode("utf-8", "surrogatepass")
    (folder / name).write_bytes(content)
    try:
        said = [clip.id for clip in read_clip_list(folder / name)]
    except PipelineError as error:
        said = [str(error)]
    assert said
    assert all(len(text.splitlines()) == 1 for text in said)


def test_another_interval_changes_the_digest_of_its_shard_alone(folder):
    rows = [f"clip {n},talk.mp4,{n},{n + 1}" for n in range(12)]
    before = listing_digests(list_videos(write(folder, "\n".join(["id,video,start,stop", *rows]))), 3)
    rows[7] = "clip 7,talk.mp4,7,8.5"
    after = listing_digests(list_videos(write(folder, "\n".join(["id,video,start,stop", *rows]))), 3)
    assert [n for n in range(3) if before[n] != after[n]] == [shard_of("clip 7", 3)]


def test_the_digest_of_whole_files_is_what_it_was(folder):
    """No data set without intervals is indexed again."""
    whole = listing_digests(list_videos(folder), 1)
    assert whole == ["390364a352c368bc"]
    assert whole == listing_digests(list_videos(write(folder, 'video\ntalk.mp4\n"sub/b, c.mp4"\n')), 1)
