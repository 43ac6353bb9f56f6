"""The report page: what it holds, that it asks no server, that captions cannot break it, and that clips play."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from toys.finished_experiment import ARTIFACTS, CONFIG, NASTY, listed, write_experiment, write_page
from toys.recognized import artifacts_of, write_results
from toys.report import Page, encode, report_of, seen_in

from pipeline.artifact import write_json
from pipeline.report.artifacts import sort_by_kind
from pipeline.report.datasets import clips_of, describe_dataset
from pipeline.report.folder import write_clips
from pipeline.stages import write_report
from pipeline.workflow.shown import spread

OWN_SCRIPTS = ["data.js", "vendor/tabulator.min.js", "vendor/uPlot.iife.min.js", "page.js"]


@pytest.fixture
def results(tmp_path):
    return write_experiment(tmp_path)


def test_page_tells_everything(results):
    page = Page(write_page(results))
    for expected in (
        "2.345",  # scores
        "3 of 4",  # videos covered
        "Best is one , CIDEr 2.345",
        "1 video left out",
        "CIDEr 1.25",  # of one video
        NASTY,  # its first reference
        "1 video could not be used",
        "decode_frames",
        "12.5 %",  # R@1
        "3.5",  # median rank
        "fine-tuned on tiny from random",
        "the validation loss chose the model, that of epoch 2",
        "one 3 of 3 25 % 5 2 4.0",  # distinct and novel as scores say, words that are used and that never are, length
        "vocabulary: tiny",  # settings
        "snakemake --cores 2 results/experiments/one/test/scores.json",
        "(empty caption)",
        "not captioned",
        f"left out: decode_frames: empty file {NASTY}",
        "decode_frames 1 job, 12 s, ",
        "vocabulary",
    ):
        assert expected in page.text, expected
    assert "\u2713" not in page.text  # captioned is not right


def data_of(results):
    """What the page's script gets."""
    text = (results / "report/data.js").read_text(encoding="ascii")
    return json.loads(re.fullmatch(r'\(window\.CLIPGRAPH = .*\)\["data"\] = (.*);\n', text)[1])


def test_clips_lie_beside_the_page(results):
    page = Page(write_page(results))
    of = {video["id"]: video for video in data_of(results)["datasets"]["tiny"]["videos"]}
    assert list(of) == ["a", "b", "c", "bad"]
    assert of["a"] == {
        "id": "a",
        "captions": [NASTY],
        "cider": [1.25],
        "references": [NASTY, "second"],
        "clip": "media/tiny/a.mp4",
        "poster": "media/tiny/a.jpg",
    }
    assert of["bad"]["captions"] == of["bad"]["cider"] == [None]
    assert of["bad"]["left_out"] == f"decode_frames: empty file {NASTY}"
    folder = results / "report"
    assert [seen_in(folder / of[i]["clip"])[:2] for i in "abc"] == [
        ("mov", "h264"),
        ("matroska", "vp9"),
        ("mov", "h264"),
    ]
    for video_id in "abc":
        with Image.open(folder / of[video_id]["poster"]) as still:
            assert still.size == (64, 48)
    assert [attrs["href"] for attrs in page.all("a") if attrs["href"].startswith("media")] == [
        of[i]["clip"] for i in "abc"
    ]


def test_what_an_earlier_page_had_beside_it_is_gone(results):
    old = results / "report/media/gone/x.mp4"
    write_page(results)
    old.parent.mkdir()
    old.write_bytes(b"")
    write_page(results, num_videos=1)
    names = sorted(path.relative_to(results / "report").as_posix() for path in (results / "report").rglob("*.*"))
    assert [name for name in names if not name.startswith("vendor/")] == [
        "data.js",
        "index.html",
        "media/tiny/a.jpg",
        "media/tiny/a.mp4",
        "page.js",
    ]


def test_untrained_encoders_are_announced(results):
    page = Page(write_page(results))
    assert "Untrained encoder: i3d" in page.text
    metadata = {"kind": "i3d", "origin": "file rgb_imagenet.pt sha256 00"}
    save_file({"w": np.zeros(1)}, results / "encoders/i3d/weights.safetensors", metadata=metadata)
    assert "Untrained" not in Page(write_page(results)).text


def test_page_is_escaped(results):
    text = write_page(results)
    page = Page(text)
    assert [attrs.get("src") for attrs in page.all("script")] == [*OWN_SCRIPTS, None]  # the last one is in the page
    assert text.count("alert(") == text.count("&lt;script&gt;alert(") > 4  # caption, reference, reasons, commonest
    assert "<script" not in (results / "report/data.js").read_text().replace(json.dumps(NASTY)[1:-1], "")


def test_page_asks_no_server_and_is_accessible(results):
    text = write_page(results)
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", re.sub(r"base64,[\w+/=]+", "", text))
    named = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(named) == len(set(named))
    for _, attrs in page.elements:
        for key in ("src", "href", "poster"):
            address = attrs.get(key, "data:")
            if address.startswith("#"):
                assert address[1:] in named
            elif not address.startswith("data:"):
                assert (results / "report" / address).is_file(), address
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert all("scope" in attrs for attrs in page.all("th"))
    assert len(page.all("h1")) == 1
    scrolling = [attrs for attrs in page.all("div") if attrs.get("class") == "table"]
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in scrolling)


def test_same_artifacts_same_page(results):
    first = write_page(results), (results / "report/data.js").read_text()
    assert (write_page(results), (results / "report/data.js").read_text()) == first


def test_no_clips_when_none_are_asked_for(results):
    write_page(results, num_videos=0)
    assert not (results / "report/media").exists()
    assert "clip" not in data_of(results)["datasets"]["tiny"]["videos"][0]


def test_a_clip_that_is_gone_is_said(results):
    (results.parent / "a.mp4").unlink()
    page = Page(write_page(results))
    assert len(list((results / "report/media/tiny").glob("*.jpg"))) == 2
    assert "a.mp4: cannot be shown" in page.text


def test_spread():
    assert spread(list("abcdefgh"), 4) == ["a", "c", "e", "g"]
    assert spread(["a", "b"], 20) == ["a", "b"]
    assert spread([], 3) == []


def test_clips_shown_are_captioned_by_some_experiment():
    table = {"captions": {}, "splits": {"test": ["a", "b", "c"]}}
    described = describe_dataset(table, {"one": {"a": "x"}, "two": {"c": "y"}}, 5)
    assert described["shown"] == ["a", "c"]
    assert described["splits"] == {"train": 0, "val": 0, "test": 3}


def test_without_a_test_split_the_page_shows_that_of_validation(results):
    config = CONFIG | {"datasets": {"tiny": {"kind": "folder", "splits": {"train": 0.5, "val": 0.5, "test": 0.0}}}}
    write_report.run(
        artifacts=listed(results, [results / path for path in ARTIFACTS if "/test/" not in path]),
        config=json.dumps(config),
        settings=report_of(["one"], videos=3, resamples=50),
        stages={},
        logs=results.parent / "logs",
        out=results / "page.html",
    )
    text = Page((results / "page.html").read_text(encoding="utf-8")).text
    assert "1 of 1 validation video can be played" in text
    assert "tiny has no test split: its scores are those of the videos on which the model was chosen" in text
    assert "CIDEr 1.25" in text
    assert "results/experiments/one/val/scores.json" in text


def test_the_report_plays_the_interval_that_a_clip_is(tmp_path):
    encode(tmp_path / "long.mp4", seconds=4)
    clip = {"id": "x", "path": "long.mp4", "size": 1, "start": 1.5, "stop": 2.0}
    table = tmp_path / "results/datasets/tiny/videos/000.json"
    write_json(table, {"root": str(tmp_path), "videos": [clip]})
    clips = clips_of(sort_by_kind([table])["videos"])["tiny"]
    shown = write_clips(tmp_path / "page", "tiny", ["x", "y"], clips)
    assert len(seen_in(tmp_path / "page" / shown["x"]["clip"])[3]) == 5
    assert shown["y"] == {"problem": "no video table lists it"}


def test_captioning_and_recognition_share_a_page(results, tmp_path):
    others, added = write_results(tmp_path / "others")
    config = {**CONFIG, **{key: {**CONFIG.get(key, {}), **entries} for key, entries in added.items()}}
    write_report.run(
        artifacts=listed(results, [*(results / path for path in ARTIFACTS), *artifacts_of(others)]),
        config=json.dumps(config),
        settings=report_of(["one", "plain", "regions"], videos=1, resamples=20),
        stages={},
        logs=results.parent / "logs",
        out=results / "page.html",
    )
    page = Page((results / "page.html").read_text(encoding="utf-8"))
    for expected in ("Videos to captions and classes", "CIDEr", "top-1", "Where the modules look", "Untrained encoder"):
        assert expected in page.text, expected
    named = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(named) == len(set(named))
    links = {attrs["href"] for attrs in page.all("a")}
    assert {link[1:] for link in links if link.startswith("#")} <= set(named)
