"""Ids and names that would leave their folders, break lines or command a terminal, in everything that reads one."""

import csv
import io
import json
import os
import sys
import unicodedata

import pytest

from pipeline.__main__ import main
from pipeline.config import CocoCaptionsSettings, FolderSettings, MsrvttSettings, MsvdSettings, Splits, VatexSettings
from pipeline.datasets.annotated import clip_id
from pipeline.datasets.listing import list_videos
from pipeline.datasets.msvd import read_mapping
from pipeline.datasets.readers import read_captions
from pipeline.errors import PipelineError

# A name, and what is said of it where ids name files.
NASTY = {
    "up": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "dots": "..",
    "backslash": "..\\windows",
    "NUL": "a\0b",
    "escape": "\x1b[2Jgone",
    "bell": "a\x07b",
    "line": "a\u2028b",
    "turned": "\u202egpj.4pm",
    "long": "x" * 256,
    "long in bytes": "\u65e5" * 90,
    "half": "a\ud800",
    "empty": "  ",
}
# Characters that look like a slash and are letters to every file system: names like any other.
ALIKE = ["a\u2044b", "a\u2215b", "a\uff0fb", "a\u29f8b", "..\u2044..", "a\uff3cb"]


def folder_csv(path, name):
    text = io.StringIO()
    csv.writer(text).writerows([["video", "caption"], [name, "a dog"]])
    file = path / "c.csv"
    file.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))
    return FolderSettings(
        kind="folder", shards=1, videos=path, captions=file, splits=Splits(train=1.0, val=0.0, test=0.0)
    )


def folder_jsonl(path, name):
    file = path / "c.jsonl"
    file.write_text(json.dumps({"video": name, "caption": "a dog"}))
    return folder_csv(path, "x").model_copy(update={"captions": file})


def msvd(path, name):
    (path / "c.json").write_text(json.dumps({name: ["a dog"]}))
    return MsvdSettings(kind="msvd", shards=1, videos=path, mapping=None, captions=path / "c.json", splits="position")


def msrvtt(path, name):
    content = {"videos": [{"video_id": name}], "sentences": [{"video_id": name, "caption": "a dog"}]}
    (path / "c.json").write_text(json.dumps(content))
    return MsrvttSettings(kind="msrvtt", shards=1, videos=path, captions=path / "c.json", splits="position")


def nested(path, name):
    (path / "c.json").write_text(json.dumps({name: {"0": "a dog"}}))
    return MsrvttSettings(kind="msrvtt", shards=1, videos=path, captions=path / "c.json", splits="position")


def lists(path):
    return {"train": path / "c.json", "val": path / "v.json", "test": None}


def vatex(path, name):
    (path / "v.json").write_text("[]")
    (path / "c.json").write_text(json.dumps([{"videoID": name, "enCap": ["a dog"]}]))
    return VatexSettings(kind="vatex", shards=1, videos=path, captions=lists(path))


def coco(path, name):
    (path / "v.json").write_text('{"images": [], "annotations": []}')
    content = {"images": [{"id": 1, "file_name": name}], "annotations": [{"image_id": 1, "caption": "a dog"}]}
    (path / "c.json").write_text(json.dumps(content))
    return CocoCaptionsSettings(kind="coco_captions", shards=1, videos=path, captions=lists(path))


READERS = [folder_csv, folder_jsonl, msvd, msrvtt, nested, vatex, coco]


@pytest.mark.parametrize("kind", NASTY)
@pytest.mark.parametrize("write", READERS, ids=lambda write: write.__name__)
def test_ids_that_are_no_file_names_are_refused_in_a_line(tmp_path, write, kind):
    with pytest.raises(PipelineError) as raised:
        read_captions(write(tmp_path, NASTY[kind]), ["good.mp4", "good"])
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 700
    assert os.fspath(tmp_path) in str(raised.value)


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("write", [msvd, msrvtt, nested, vatex, coco], ids=lambda write: write.__name__)
def test_what_only_looks_like_a_slash_stays_a_name(tmp_path, write, name):
    found = read_captions(write(tmp_path, name), [name])
    assert found.captions == {name: ["a dog"]}


def test_no_character_becomes_a_slash_by_composing():
    """Ids are brought into composed form: that must not make a separator, a dot or a NUL of anything else."""
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        if character not in "/\\.\0":
            assert not set("/\\.\0") & set(unicodedata.normalize("NFC", character)), hex(number)


@pytest.mark.parametrize("kind", ["up", "absolute", "backslash", "escape", "long"])
def test_ids_of_a_mapping(tmp_path, kind):
    (tmp_path / "m.txt").write_text(f"a_0_1 {NASTY[kind]}\n")
    with pytest.raises(PipelineError, match=r"m\.txt:1: "):
        read_mapping(tmp_path / "m.txt")


@pytest.mark.parametrize("value", [[["x"] * 10**5] * 10**5, {"a": "b\n" * 10**6}, 10**300, True, None])
def test_ids_that_are_no_text_are_told_in_short(value):
    with pytest.raises(PipelineError, match="must be a text") as raised:
        clip_id(value, "here")
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("name", ["a\nb.mp4", "\x1b[31m.mp4", "a\u2028b.mp4"])
def test_files_whose_names_break_a_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(PipelineError, match="holds a control character: rename it") as raised:
        list_videos(tmp_path)
    assert str(raised.value).isprintable()


def test_spaces_and_signs_that_cameras_and_people_write_stay(tmp_path):
    """The narrow space of recordings of a Mac, the wide one of Japan, the joiner of a family of three."""
    names = ["10.00\u202fAM.mp4", "a\u00a0b.mp4", "a\u3000b.mp4", "\U0001f468\u200d\U0001f469\u200d\U0001f467.mp4"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert [video.id for video in list_videos(tmp_path)] == sorted(names)


def test_links_out_of_the_folder_give_ids_within_it(tmp_path):
    (tmp_path / "else").mkdir()
    (tmp_path / "else/secret.mp4").write_bytes(b"x")
    home = tmp_path / "home"
    home.mkdir()
    (home / "up").symlink_to(tmp_path / "else")
    (home / "link.mp4").symlink_to("../else/secret.mp4")
    (home / "gone.mp4").symlink_to("nowhere")
    (home / "self").symlink_to(home)
    os.mkfifo(home / "pipe.mp4")  # would never end
    assert [(v.id, v.path) for v in list_videos(home)] == [("link.mp4",) * 2, ("up/secret.mp4",) * 2]


def test_folders_linked_to_one_another_end(tmp_path):
    """Twelve folders with a link to each other one have 12! paths without a circle."""
    for name in "abcdefghijkl":
        (tmp_path / name).mkdir()
        (tmp_path / name / "v.mp4").write_bytes(b"x")
        for other in "abcdefghijkl":
            (tmp_path / name / other).symlink_to(tmp_path / other)
    with pytest.raises(PipelineError, match="more than 10,000 links to folders: name files in a list"):
        list_videos(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000, "a\0b"])
def test_paths_that_no_file_system_takes(tmp_path, name):
    with pytest.raises(PipelineError, match="no such folder or list file"):
        list_videos(tmp_path / name)
    (tmp_path / "list.txt").write_text(f"{name}\n")
    with pytest.raises(PipelineError, match=r"list\.txt:1: there is no file") as raised:
        list_videos(tmp_path / "list.txt")
    assert str(raised.value).isprintable()


def test_a_command_ends_with_one_line_and_code_2(tmp_path, capsys):
    (tmp_path / "c.json").write_text(json.dumps({"../\x1b[2J\n": ["a dog"]}))
    (tmp_path / "t.json").write_text('{"root": "x", "videos": []}')
    settings = msvd(tmp_path, "../\x1b[2J\nTraceback").model_dump_json()
    flags = ["--videos", str(tmp_path / "t.json"), "--made", "--out", str(tmp_path / "out.json")]
    assert main(["index_captions", "--settings", settings, *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: index_captions: ")
    assert "\x1b" not in lines[0]
    assert not (tmp_path / "out.json").exists()
