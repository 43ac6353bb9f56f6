"""The gallery: what it holds, that names and captions cannot break it, that it stands alone and stays small."""

import base64
import io
import re

import av
import numpy as np
import pytest
from PIL import Image
from toys.graph_rows import write_graphs
from toys.report import Page

from pipeline.artifact import write_json
from pipeline.errors import VideoError
from pipeline.report.clips import still_uri
from pipeline.stages import write_gallery

NASTY = '<script>alert("x")</script> & a "dog"\'s hat'


def write_page(folder, **known):
    """Write the page of a prediction in a folder; `known` are artifacts of its experiment and its graphs."""
    nothing = dict.fromkeys(("graphs", "tested", "trained_graphs", "references"), ())
    paths = {"captions": folder / "captions.json", "videos": [folder / "videos.json"], "out": folder / "index.html"}
    write_gallery.run(**paths, **nothing | known)


@pytest.fixture
def gallery(tmp_path, make_video):
    """Writes a page of some videos, of which `files` exist; `caption` and `samples` may be changed."""

    def write(files=("a.mp4", "b b.avi"), caption="a dog runs", missing=None, **more):
        for name in files:
            make_video(tmp_path / name, 12, codec="mpeg4" if name.endswith("avi") else "libx264")
        videos = [{"id": f"id of {name}", "path": name, "size": 1} for name in files]
        write_json(tmp_path / "videos.json", {"root": str(tmp_path), "videos": videos})
        told = {"caption": caption, "score": -1.234, "right_to_left": caption, **more}
        prediction = {video["id"]: {**told, "path": video["path"]} for video in videos}
        content = {"experiment": "grid", "videos": prediction, "missing": missing or {}}
        write_json(tmp_path / "captions.json", content)
        write_page(tmp_path)
        return (tmp_path / "index.html").read_text(encoding="utf-8")

    return write


def picture_of(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))


def test_videos_captions_and_reasons(gallery):
    page = Page(gallery(missing={"c.mp4": "the file is empty"}, samples=["a dog goes", "a cat"]))
    assert "2 captioned videos By the experiment grid" in page.text
    for expected in ("a dog runs", "b b.avi", "score -1.23", "a dog goes", "1 video could not be captioned", "c.mp4"):
        assert expected in page.text, expected
    assert "c.mp4 the file is empty" in page.text
    clips = page.all("video")
    assert [clip["aria-label"] for clip in clips] == ["Video id of a.mp4", "Video id of b b.avi"]
    for clip in clips:
        with av.open(io.BytesIO(base64.b64decode(clip["src"].partition(",")[2]))) as file:
            assert file.streams.video[0].codec.name == "h264"
        assert picture_of(clip["poster"]).size == (80, 48)


def test_captions_names_and_reasons_are_escaped(gallery):
    text = gallery(caption=NASTY, missing={NASTY: NASTY}, samples=[NASTY])
    page = Page(text)
    assert page.all("script") == []
    assert page.text.count(NASTY) == 2 + 2 + 2  # of two videos caption and sample; name and reason


def test_the_page_stands_alone_and_is_the_same_again(gallery):
    text = gallery()
    assert gallery() == text
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[\w+/=]+", "", text))
    page = Page(text)
    assert all(
        attrs[key].startswith("data:") for _, attrs in page.elements for key in ("src", "poster") if key in attrs
    )
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")


def test_no_video_at_all(gallery):
    page = Page(gallery(files=(), missing={"x": "y"}))
    assert "No video could be captioned." in page.text
    assert page.all("video") == []


def test_stills_when_there_is_no_room_for_clips_and_nothing_when_there_is_none_for_stills(gallery, monkeypatch):
    monkeypatch.setattr(write_gallery, "CLIP_BYTES", 1)  # full after the first
    page = Page(gallery())
    assert [len(page.all(tag)) for tag in ("video", "img")] == [1, 1]
    assert "1 video stands here as a still" in page.text
    assert picture_of(page.all("img")[0]["src"]).size == (80, 48)
    monkeypatch.setattr(write_gallery, "PAGE_BYTES", 1)
    page = Page(gallery())
    assert [len(page.all(tag)) for tag in ("video", "img")] == [1, 0]
    assert page.text.count("a dog runs") == 2


def test_one_clip_that_is_too_large_is_a_still(gallery, monkeypatch):
    monkeypatch.setattr(write_gallery, "ONE_CLIP_BYTES", 100)
    assert [len(Page(gallery()).all(tag)) for tag in ("video", "img")] == [0, 2]


def test_a_video_that_is_gone_is_said(gallery, tmp_path):
    gallery()
    (tmp_path / "a.mp4").unlink()
    write_page(tmp_path)
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert len(page.all("video")) == 1
    assert "a.mp4: cannot be shown" in page.text
    assert str(tmp_path) not in page.text


def test_a_still_is_of_the_middle_and_small(tmp_path, make_video):
    make_video(tmp_path / "x.mp4", 40, size_hw=(320, 640), codec_options={"g": "1"})  # every frame can be sought
    picture = picture_of(still_uri(tmp_path / "x.mp4"))
    assert picture.size == (320, 160)
    bar = [picture.getpixel((column, 80))[0] > 150 for column in range(320)].index(True)
    assert bar == pytest.approx(20 * 4 / 2, abs=4)  # frame 20, and half the width


def test_a_still_of_a_video_of_one_frame(tmp_path, make_video):
    make_video(tmp_path / "x.mp4", 1)
    assert picture_of(still_uri(tmp_path / "x.mp4")).size == (80, 48)


@pytest.mark.parametrize("name", ["empty.mp4", "sound.mp4", "text.mp4", "truncated.mp4"])
def test_no_still_of_what_is_no_video(tmp_path, bad_videos, name):
    with pytest.raises(VideoError, match=rf"{name}: cannot be shown"):
        still_uri(tmp_path / name)


def test_of_an_interval_its_seconds_are_told_and_shown(tmp_path, make_video):
    make_video(tmp_path / "long.mp4", 40, rate=10)
    clip = {"id": "x", "path": "long.mp4", "size": 1, "start": 1.5, "stop": 2.0}
    write_json(tmp_path / "videos.json", {"root": str(tmp_path), "videos": [clip]})
    told = {"path": "long.mp4", "caption": "a dog", "score": -1.0, "right_to_left": "", "start": 1.5, "stop": 2.0}
    write_json(tmp_path / "captions.json", {"experiment": "grid", "videos": {"x": told}, "missing": {}})
    write_page(tmp_path)
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "long.mp4, 1.5-2 s" in page.text
    (shown,) = page.all("video")
    with av.open(io.BytesIO(base64.b64decode(shown["src"].partition(",")[2]))) as file:
        assert len(list(file.decode(video=0))) == 5


def graphs_of(path, degrees):
    """A store of graphs, one node a clip in a direction (degrees) of the plane; None for a clip that failed."""
    angles = {video_id: None if angle is None else np.radians(angle) for video_id, angle in degrees.items()}
    vectors = {i: None if angle is None else (3 * np.cos(angle), 3 * np.sin(angle)) for i, angle in angles.items()}
    return write_graphs(path, vectors)


@pytest.fixture
def known(tmp_path):
    """An experiment with training clips at 0 and 90 degrees and four test clips 5 to 20 degrees beside them."""
    directions = {"train 1": 0, "train 2": 90, "gone": None, "t1": 5, "t2": 10, "t3": 85, "t4": 110}
    tests = ["t1", "t2", "t3", "t4"]
    splits = {"train": ["train 1", "train 2", "gone"], "val": [], "test": tests}
    write_json(tmp_path / "references.json", {"captions": {}, "splits": splits})
    scores = dict(zip(tests, [-4.0, -3.0, -2.0, -1.0], strict=True))
    write_json(tmp_path / "tested.json", {"captions": dict.fromkeys(tests, "a dog"), "scores": scores})
    shown = {"id of a.mp4": 45, "id of b b.avi": 8}
    return {
        "graphs": [graphs_of(tmp_path / "shown.zarr", shown)],
        "tested": [tmp_path / "tested.json"],
        "trained_graphs": [graphs_of(tmp_path / "known.zarr", directions)],
        "references": [tmp_path / "references.json"],
    }


def page_of(folder, **known):
    write_page(folder, **known)
    return Page((folder / "index.html").read_text(encoding="utf-8")).text


def test_captions_and_clips_stand_beside_the_test_clips(gallery, tmp_path, known):
    gallery()
    text = page_of(tmp_path, **known)
    assert text.count("surer than 75 % of the test captions (score -1.23)") == 2
    assert "1 video is unlike the training clips." in text
    assert "unlike the training clips: farther from them than all test clips" in text  # 45 degrees
    assert "farther from the training clips than 50 % of the test clips" in text  # 8 degrees: beyond 5 and 5
    assert "without test captions" not in text


@pytest.mark.parametrize("lacking", ["graphs", "trained_graphs", "references"])
def test_without_graphs_or_splits_nothing_is_said_of_how_clips_look(gallery, tmp_path, known, lacking):
    gallery()
    text = page_of(tmp_path, **known | {lacking: []})
    assert "farther" not in text
    assert "unlike" not in text
    assert text.count("surer than 75 %") == 2


def test_without_a_shard_of_the_training_clips_nothing_is_said_of_how_clips_look(gallery, tmp_path, known):
    gallery()
    splits = {"train": ["train 1", "in another shard"], "val": [], "test": ["t1"]}
    write_json(tmp_path / "references.json", {"captions": {}, "splits": splits})
    assert "farther" not in page_of(tmp_path, **known)


def test_without_test_captions_only_the_score_is_said(gallery, tmp_path):
    text = Page(gallery()).text
    assert "surer" not in text
    assert "nothing says what a high one is" in text
    assert text.count("score -1.23") == 2


def test_headings_leave_out_no_level(gallery):
    page = Page(gallery(missing={"x": "y"}))
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3")]
    assert levels == [1, 2, 3, 3, 2]
