import json

import pytest

from pipeline.config import FolderSettings, Splits
from pipeline.datasets.caption_rows import read_rows
from pipeline.datasets.folder import hashed_split, read_captions
from pipeline.errors import PipelineError

SHARES = Splits(train=0.8, val=0.1, test=0.1)
IDS = ["a.mp4", "b.mp4", "sub/b.webm", "sub/c-1.avi", "\u00fcber cool.mov"]


def captions_of(path, ids=IDS):
    found = found_in(path, ids)
    return found.captions, found.splits


def found_in(path, ids=IDS):
    settings = FolderSettings(kind="folder", shards=1, videos=path.parent, captions=path, splits=SHARES)
    return read_captions(settings, ids)


def write_lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def line(video, caption="a man walks", **more):
    return {"video": video, "caption": caption, **more}


def test_json_lines(tmp_path):
    path = write_lines(
        tmp_path / "c.jsonl",
        line("a.mp4", "a dog, running", split="train"),
        line("sub/c-1.avi", "ein B\u00e4r  ruht\n", split="test"),
        line("a.mp4", "dogs", split="train"),
    )
    captions, splits = captions_of(path)
    assert captions == {"a.mp4": ["a dog, running", "dogs"], "sub/c-1.avi": ["ein B\u00e4r ruht"]}
    assert splits == {"train": ["a.mp4"], "val": [], "test": ["sub/c-1.avi"]}


def test_csv(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text('\ufeffvideo,caption,split\r\na.mp4,"a dog, running",val\r\n\r\na.mp4,"two\nlines ""x""",val\r\n')
    captions, splits = captions_of(path)
    assert captions == {"a.mp4": ["a dog, running", 'two lines "x"']}
    assert splits == {"train": [], "val": ["a.mp4"], "test": []}


def test_columns_may_come_in_any_order_and_without_split(tmp_path):
    (tmp_path / "c.csv").write_text("caption,video\nhello,a.mp4\n")
    assert captions_of(tmp_path / "c.csv")[0] == {"a.mp4": ["hello"]}


def test_no_captions_no_splits(tmp_path):
    settings = FolderSettings(kind="folder", shards=1, videos=tmp_path, captions=None, splits=SHARES)
    found = read_captions(settings, IDS)
    assert (found.captions, found.splits) == ({}, {"train": [], "val": [], "test": []})


@pytest.mark.parametrize(
    ("name", "video_id"),
    [
        ("a.mp4", "a.mp4"),
        ("a", "a.mp4"),
        ("sub/b", "sub/b.webm"),
        ("b.webm", "sub/b.webm"),
        ("c-1", "sub/c-1.avi"),
        ("u\u0308ber cool", "\u00fcber cool.mov"),  # the accent as a character of its own
    ],
)
def test_a_video_may_be_named_by_id_path_file_or_stem(tmp_path, name, video_id):
    captions, _ = captions_of(write_lines(tmp_path / "c.jsonl", line(name)))
    assert list(captions) == [video_id]


def test_an_id_is_never_ambiguous(tmp_path):
    captions, _ = captions_of(write_lines(tmp_path / "c.jsonl", line("b.mp4")), ["b.mp4", "sub/b.mp4"])
    assert list(captions) == ["b.mp4"]


def test_a_stem_of_two_videos_is_refused(tmp_path):
    path = write_lines(tmp_path / "c.jsonl", line("a"), line("b"))
    with pytest.raises(PipelineError, match=r"c\.jsonl:2: b may be b\.mp4 or sub/b\.webm: name one"):
        captions_of(path)


def test_a_dot_in_a_name_is_no_extension(tmp_path):
    ids = ["q_1_4.mp4", "q_1_4.5.mp4"]
    path = write_lines(tmp_path / "c.jsonl", line("q_1_4", "of four"), line("q_1_4.5", "of four and a half"))
    assert captions_of(path, ids)[0] == {"q_1_4.mp4": ["of four"], "q_1_4.5.mp4": ["of four and a half"]}


def test_videos_that_are_gone_are_missing_and_noted_with_what_is_near(tmp_path):
    lines = [line("a"), line("sub/c_1.avi"), line("B.MP4"), *[line(f"zz{n}") for n in range(7)]]
    found = found_in(write_lines(tmp_path / "c.jsonl", *lines))
    assert list(found.captions) == ["a.mp4"]
    assert found.missing == sorted(["sub/c_1.avi", "B.MP4", *[f"zz{n}" for n in range(7)]])
    assert sum(found.annotated.values()) == 10
    [note] = found.notes
    assert "captions of 9 unknown videos" in note
    assert "sub/c_1.avi (line 2, did you mean sub/c-1.avi?)" in note
    assert "B.MP4 (line 3, did you mean b.mp4?)" in note
    assert "zz2 (line 6)" in note
    assert "zz3" not in note
    assert note.endswith("and 4 more")


def test_captions_of_none_of_the_videos_are_a_mistake(tmp_path):
    with pytest.raises(
        PipelineError, match=r"2 unknown videos: x \(line 1\); A\.MP4 \(line 2, did you mean a\.mp4\?\): no"
    ):
        found_in(write_lines(tmp_path / "c.jsonl", line("x"), line("A.MP4")))


def test_equal_captions_of_a_video_all_count(tmp_path):
    captions, _ = captions_of(write_lines(tmp_path / "c.jsonl", line("a"), line("a")))
    assert captions == {"a.mp4": ["a man walks", "a man walks"]}


def test_hashed_splits_keep_their_shares_and_stay_when_videos_come(tmp_path):
    ids = [f"video {number}.mp4" for number in range(2000)]
    path = write_lines(tmp_path / "c.jsonl", *[line(video_id) for video_id in ids])
    _, before = captions_of(path, ids[:1000] + ids[1000:])
    assert sum(len(members) for members in before.values()) == 2000
    assert len(before["train"]) == pytest.approx(1600, abs=60)
    assert len(before["val"]) == pytest.approx(200, abs=45)
    few = write_lines(tmp_path / "few.jsonl", *[line(video_id) for video_id in ids[:50]])
    _, after = captions_of(few, ids)
    for split in before:
        assert after[split] == [video_id for video_id in before[split] if video_id in set(ids[:50])]


def test_shares_of_nothing_get_nothing():
    ids = [str(number) for number in range(500)]
    assert {hashed_split(i, Splits(train=0.5, val=0.5, test=0.0)) for i in ids} == {"train", "val"}
    assert {hashed_split(i, Splits(train=0.0, val=0.0, test=1.0)) for i in ids} == {"test"}
    assert {hashed_split(i, Splits(train=0.7, val=0.0, test=0.3)) for i in ids} == {"train", "test"}


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([line("a", split="train"), line("a.mp4", split="test")], r":2: a\.mp4 is in split test here and in train at"),
        ([line("a", split="train"), line("a")], r":2: a\.mp4 is in split \(none\) here"),
        ([line("a", split="train"), line("b.mp4")], r":2: b\.mp4 is in no split, other videos are"),
        ([line("a", split="trial")], r":1: unknown split 'trial': expected train, training, val, "),
        ([line("a", 3)], r":1: `caption` must be a text"),
        ([line("a", ["x", ["y"]])], r":1: `caption` must be a text, or in JSON a list of texts, not \['y'\]"),
        ([line("a", "['one', 'two']")], r":1: `caption` is a list that was written as a text: export it as JSON Lines"),
        ([{"caption": "x"}], r":1: there is no `video`: expected \{"),
        ([{"video": "a", "captoin": "x"}], r":1: there is no `caption` \(is it `captoin`\?\): expected \{"),
        ([line(""), line(None)], r":1: `video` must name a video"),
        ([line(True)], r":1: `video` must name a video"),
        ([{"images": [], "annotations": []}], r":1: there is no `video`.*looks like a file for `kind: coco_captions`"),
        (["a"], r":1: expected \{"),
    ],
)
def test_malformed_json_lines_are_named(tmp_path, records, message):
    with pytest.raises(PipelineError, match=message):
        captions_of(write_lines(tmp_path / "c.jsonl", *records))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.jsonl", b'{"video": "a", "caption": "x"}\n\n{"video": \n', r"c\.jsonl:3: no JSON"),
        ("c.jsonl", b'{"video": "a", "caption": "x", "caption": "y"}\n', r"c\.jsonl:1: the key 'caption' stands twice"),
        ("c.csv", b"a.mp4,hello\n", r"c\.csv:1: expected the header"),
        ("c.csv", b"", r"c\.csv:1: expected the header"),
        ("c.csv", b'video,caption\na,"x\ny"\na,one, two\n', r"c\.csv:4: expected 2 fields, found 3: quote"),
        ("c.csv", b'video,caption\na,"never closed\n', r"c\.csv:2: no CSV"),
        ("c.csv", b"video,caption\na,caf\xe9\n", r"not UTF-8 \(byte 19\)"),
        ("c.csv", "video,caption\na,x\n".encode("utf-16-le"), r"c\.csv: it holds NUL characters, as UTF-16"),
        ("c.xlsx", b"PK", r"expected JSON Lines"),
    ],
)
def test_malformed_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PipelineError, match=message):
        read_rows(tmp_path / name)


def test_a_missing_captions_file(tmp_path):
    with pytest.raises(PipelineError, match="there is no such file"):
        read_rows(tmp_path / "c.csv")


CLIPS = ["talk.mp4@0-5", "talk.mp4@5-", "opening", "b.mp4"]


def captions_of_clips(path, *records):
    """Captions of four clips: two of one file, the only one of another, and a whole file."""
    settings = FolderSettings(
        kind="folder",
        shards=1,
        videos=path / "clips.csv",
        captions=write_lines(path / "c.jsonl", *records),
        splits=SHARES,
    )
    (path / "clips.csv").write_text("video\n")
    files = {"talk.mp4@0-5": path / "talk.mp4", "talk.mp4@5-": path / "talk.mp4", "opening": path / "sub/other.mp4"}
    return read_captions(settings, CLIPS, files).captions


def test_clips_that_are_intervals_are_named_by_their_id(tmp_path):
    names = ["talk.mp4@5-", "opening", "talk.mp4@0-5", "b"]
    captions = captions_of_clips(tmp_path, *(line(name) for name in names))
    assert list(captions) == ["talk.mp4@5-", "opening", "talk.mp4@0-5", "b.mp4"]


@pytest.mark.parametrize("name", ["sub/other.mp4", "other.mp4", "sub/other", "other"])
def test_the_only_clip_of_a_file_may_be_named_by_the_file(tmp_path, name):
    assert list(captions_of_clips(tmp_path, line(name))) == ["opening"]


@pytest.mark.parametrize("name", ["talk.mp4", "talk"])
def test_the_file_of_two_clips_names_neither(tmp_path, name):
    with pytest.raises(PipelineError, match=rf"{name} may be talk\.mp4@0-5 or talk\.mp4@5-: name one"):
        captions_of_clips(tmp_path, line(name))


def test_clips_of_one_file_are_drawn_into_one_split(tmp_path):
    path = tmp_path / "c.jsonl"
    ids = [f"clip {n}" for n in range(60)]
    settings = FolderSettings(
        kind="folder", shards=1, videos=tmp_path, captions=write_lines(path, *map(line, ids)), splits=SHARES
    )
    files = {video_id: tmp_path / f"{n // 3}.mp4" for n, video_id in enumerate(ids)}
    splits = read_captions(settings, ids, files).splits
    split_of = {video_id: split for split, members in splits.items() for video_id in members}
    assert all(split_of[ids[n]] == hashed_split(f"{n // 3}.mp4", SHARES) for n in range(60))
    assert len(set(split_of.values())) > 1
