"""The report page: what it holds, that it stands alone, that captions cannot break it, and that clips play."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import av
import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline.__main__ import stage_summaries
from pipeline.artifact import create, write_json
from pipeline.config import ReportSettings
from pipeline.errors import PipelineError, VideoError
from pipeline.report import clips
from pipeline.report.clips import data_uri
from pipeline.report.curves import draw_curves, group, read_curves
from pipeline.report.dag import PLACES, READS, arrows, draw_dag
from pipeline.report.stores import list_failures, read_store, summarise
from pipeline.schemas import FRAMES, MOTION
from pipeline.scoring.statistics import COLUMNS, Statistics
from pipeline.stages import write_report
from pipeline.stages.write_report import describe_dataset, spread

VOID = {"meta", "br", "hr", "img", "input", "link"}
NASTY = '<script>alert("x")</script> & a "dog"\'s hat'
CODECS = {"mp4": "libx264", "webm": "libvpx-vp9", "avi": "mpeg4"}


def encode(path, width=64, height=48, seconds=1.0, fps=10, codec=None):
    """Write a video whose grey level rises with time."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec or CODECS[path.suffix[1:]], rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for level in np.linspace(0, 255, round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), level, np.uint8), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def decode(uri):
    """Media type, codec, sizes and times of the frames of a data: URI."""
    media_type, content = re.fullmatch(r"data:(video/\w+);base64,(.*)", uri).groups()
    with av.open(io.BytesIO(base64.b64decode(content))) as file:
        frames = list(file.decode(video=0))
        return (
            media_type,
            file.streams.video[0].codec.name,
            (frames[0].width, frames[0].height),
            [f.time for f in frames],
        )


class Page(HTMLParser):
    """Checks nesting; collects elements and the text outside of style."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def make_store(path, schema, ids, failed, rows):
    with create(path, schema, ids=ids, stage=schema.stage, settings={}, inputs={}) as writer:
        for video_id in writer.remaining:
            if video_id in failed:
                writer.fail(video_id, failed[video_id])
            else:
                writer.append(video_id, **rows)


FRAME_ROWS = {
    "pixels": np.zeros((2, 3), np.uint8),
    "number": np.array([0]),
    "time": np.array([0.0]),
    "size": np.array([[1, 2]]),
    "num_frames": np.array([1]),
    "fps": np.array([10.0]),
}
MOTION_ROWS = {"motion": np.zeros((1, 4)), "window_start": np.array([0])}
CONFIG = {
    "datasets": {"tiny": {"kind": "folder"}},
    "encoders": {"i3d": {"kind": "i3d"}, "clip": {"kind": "clip4clip"}},
    "experiments": {"one": {"dataset": "tiny", "vocabulary": "tiny", "seed": 1}},
    "report": {"experiments": ["one"], "videos": 3},
}


@pytest.fixture
def results(tmp_path):
    """A finished experiment in small: real clips, stores, JSON and CSV at the workflow's paths."""
    for name in ("a.mp4", "b.webm", "c.avi"):
        encode(tmp_path / name)
    (tmp_path / "gone.mp4").write_bytes(b"")
    dataset = tmp_path / "results/datasets/tiny"
    files = {"a": "a.mp4", "b": "b.webm", "c": "c.avi", "bad": "gone.mp4"}
    table = [{"id": i, "path": path, "size": 1} for i, path in files.items()]
    write_json(dataset / "videos/000.json", {"root": str(tmp_path), "videos": table})
    references = {"t": ["a dog"], "a": [NASTY, "second"], "b": ["a cat"], "c": ["a hat"], "bad": ["gone"]}
    write_json(
        dataset / "captions.json",
        {"captions": references, "splits": {"train": ["t"], "val": ["a"], "test": ["a", "b", "c", "bad"]}},
    )
    make_store(dataset / "frames/s/000.zarr", FRAMES, list(files), {"bad": f"empty file {NASTY}"}, FRAME_ROWS)
    make_store(dataset / "motion/s/i3d/000.zarr", MOTION, ["a", "b", "c"], {}, MOTION_ROWS)
    experiment = tmp_path / "results/experiments/one"
    metrics = dict.fromkeys(write_report.METRICS, 0.5) | {"CIDEr": 2.345}
    for split, covered in {"test": {"a": NASTY, "b": "a cat", "c": ""}, "val": {"a": "a dog"}}.items():
        write_json(experiment / split / "captions.json", {"captions": covered, "missing": []})
        scores = {"split": split, "metrics": metrics, "num_videos": 4, "num_covered": len(covered), "num_distinct": 3}
        statistics = Statistics(tuple(covered), np.ones((len(covered), len(COLUMNS))))
        scores["statistics"] = statistics.to_json()
        more = {"novel_share": 0.25, "mean_words": 4.0, "cider_by_video": {"a": 1.25}, "notes": [], "missing": []}
        write_json(experiment / split / "scores.json", scores | more)
    (experiment / "curves.csv").write_text("epoch,train_loss,val_loss,val_cider\n1,3.5,3.6,\n2,2.5,2.7,1.5\n")
    encoders = tmp_path / "results/encoders"
    for name, origin in {"i3d": "random", "clip": "fine-tuned on tiny from random"}.items():
        (encoders / name).mkdir(parents=True)
        metadata = {"kind": CONFIG["encoders"][name]["kind"], "origin": origin}
        save_file({"w": np.zeros(1)}, encoders / name / "weights.safetensors", metadata=metadata)
    recalls = {"R@1": 0.125, "R@5": 0.5, "R@10": 1.0, "median_rank": 3.5}
    write_json(encoders / "clip/retrieval.json", {"best": {"text_to_video": recalls, "video_to_text": recalls}})
    return tmp_path / "results"


def write_page(results, num_videos=3):
    out = results / "report/index.html"
    write_report.run(
        scores=[results / f"experiments/one/{split}/scores.json" for split in ("test", "val")],
        akg_scores=[],
        captions=[results / f"experiments/one/{split}/captions.json" for split in ("test", "val")],
        curves=[results / "experiments/one/curves.csv"],
        references=[results / "datasets/tiny/captions.json"],
        videos=[results / "datasets/tiny/videos/000.json"],
        artifacts=[results / f"datasets/tiny/{kind}/000.zarr/zarr.json" for kind in ("motion/s/i3d", "frames/s")],
        weights=[results / f"encoders/{name}/weights.safetensors" for name in ("i3d", "clip")],
        retrieval=[results / "encoders/clip/retrieval.json"],
        detection=[],
        embedding=[],
        config=json.dumps(CONFIG),
        settings=ReportSettings(experiments=["one"], videos=num_videos, resamples=50, akg=False),
        out=out,
    )
    return out.read_text(encoding="utf-8")


def test_page_tells_everything(results):
    page = Page(write_page(results))
    for expected in (
        "2.345",  # scores
        "3 of 4",  # videos covered
        "CIDEr 1.25",  # of one video
        "second",  # a reference
        "1 video could not be used",
        "decode_frames",
        "12.5 %",  # R@1
        "3.5",  # median rank
        "fine-tuned on tiny from random",
        "vocabulary: tiny",  # settings
        "snakemake --cores 2 results/experiments/one/test/scores.json",
        "(empty caption)",
        "\u2717 not captioned",
    ):
        assert expected in page.text, expected
    ticks = [attrs for attrs in page.all("span") if attrs.get("aria-label") == "captioned"]
    assert len(ticks) == 3
    assert [decode(attrs["src"])[:2] for attrs in page.all("video")] == [
        ("video/mp4", "h264"),
        ("video/webm", "vp9"),
        ("video/mp4", "h264"),
    ]


@pytest.fixture
def two_datasets(results):
    """Two more experiments: one on the same data set, a tenth of a point better in CIDEr; one on another."""
    config = json.loads(json.dumps(CONFIG))
    config["datasets"]["other"] = {"kind": "folder"}
    config["experiments"] |= {
        "two": config["experiments"]["one"],
        "far": config["experiments"]["one"] | {"dataset": "other"},
    }
    captions = {f"v{number:02d}": "a hat" for number in range(12)}
    for name, plus in {"one": 0.0, "two": 0.1, "far": 0.0}.items():
        rows = np.ones((12, len(COLUMNS)))
        rows[:, COLUMNS.index("CIDEr")] += plus + np.arange(12)
        statistics = Statistics(tuple(captions), rows)
        folder = results / f"experiments/{name}"
        for split in ("val", "test"):
            write_json(folder / split / "captions.json", {"captions": captions, "missing": []})
            described = {"num_videos": 12, "num_covered": 12, "num_distinct": 1, "novel_share": 0.0, "mean_words": 2.0}
            scores = {"metrics": statistics.scores(), "statistics": statistics.to_json(), "notes": [], **described}
            write_json(folder / split / "scores.json", scores)
            write_json(folder / split / "akg_scores.json", scores)
        (folder / "curves.csv").write_text("epoch,train_loss\n1,3.5\n")
    references = {video_id: ["a hat"] for video_id in captions}
    for name, missing in {"tiny": [], "other": ["lost clip"]}.items():
        table = {"captions": references, "splits": {"test": list(captions)}, "missing": missing}
        write_json(results / f"datasets/{name}/captions.json", table)
    detected = {"average_precision": {"hat": 0.75, "cat": None}, "mean_average_precision": 0.75, "overlap": 0.5}
    write_json(results / "encoders/finder/detection.json", detected | {"num_frames": {"train": 9, "val": 8}})
    metadata = {"kind": "detection", "origin": "trained on tiny from random"}
    save_file({"w": np.zeros(1)}, results / "encoders/finder/weights.safetensors", metadata=metadata)
    ranks = {"mrr": 0.625, "hits@10": 0.875, "chance": {"mrr": 0.25, "hits@10": 0.5}}
    counts = {"num_entities": 7, "num_relations": 3, "num_triplets": {"train": 40, "held_out": 4}}
    write_json(results / "knowledge/said/scores.json", {"model": "transe", "filtered": ranks, **counts})
    return config


def test_experiments_are_compared_by_data_set(results, two_datasets):
    names, out = ["far", "one", "two"], results / "report/index.html"
    folders = [results / f"experiments/{name}/{split}" for name in names for split in ("test", "val")]
    write_report.run(
        scores=[folder / "scores.json" for folder in folders],
        akg_scores=[folder / "akg_scores.json" for folder in folders],
        captions=[folder / "captions.json" for folder in folders],
        curves=[results / f"experiments/{name}/curves.csv" for name in names],
        references=[results / f"datasets/{name}/captions.json" for name in ("tiny", "other")],
        videos=[results / "datasets/tiny/videos/000.json"] * 2,
        artifacts=[results / "datasets/tiny/frames/s/000.zarr/zarr.json"] * 2,
        weights=[results / "encoders/finder/weights.safetensors"] * 2,
        retrieval=[],
        detection=[results / "encoders/finder/detection.json"],
        embedding=[results / "knowledge/said/scores.json"],
        config=json.dumps(two_datasets | {"encoders": {"finder": {"kind": "detector"}}}),
        settings=ReportSettings(experiments=names, videos=0, resamples=100, akg=True),
        out=out,
    )
    page = Page(out.read_text(encoding="utf-8"))
    for expected in (
        "tiny: test split",
        "other: test split",
        "\u25b2 +0.100 [+0.100, +0.100]",  # two is better than one in each video; far is not compared with them
        "not comparable with the literature",
        "1 captioned clip had no video file",
        "lost clip",
        "75.0 %",
        "62.5 %",
        "25.0 %",
        "12 of 12",
    ):
        assert expected in page.text, expected
    assert [attrs["class"] for attrs in page.all("small") if attrs.get("class") in ("up", "down")] == ["up", "up"]
    assert page.text.count("trained on tiny from random") == 1


def test_untrained_encoders_are_announced(results):
    page = Page(write_page(results))
    assert "Untrained encoder: i3d" in page.text
    assert any(attrs.get("role") == "alert" for attrs in page.all("div"))
    metadata = {"kind": "i3d", "origin": "file rgb_imagenet.pt sha256 00"}
    save_file({"w": np.zeros(1)}, results / "encoders/i3d/weights.safetensors", metadata=metadata)
    assert "Untrained" not in Page(write_page(results)).text


def test_page_is_escaped(results):
    text = write_page(results)
    page = Page(text)
    assert page.all("script") == []
    assert text.count("alert(") == text.count("&lt;script&gt;alert(") == 4  # caption twice, reference, reason
    assert page.text.count(NASTY) == 4


def test_page_stands_alone_and_is_accessible(results):
    text = write_page(results)
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", re.sub(r"base64,[\w+/=]+", "", text))
    for _, attrs in page.elements:
        for key in ("src", "href", "poster"):
            assert attrs.get(key, "#").startswith(("data:", "#"))
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert all(attrs["aria-label"] for attrs in page.all("video"))
    assert all("scope" in attrs for attrs in page.all("th"))
    named = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(named) == len(set(named))
    links = {attrs["href"][1:] for attrs in page.all("a")}
    assert links <= set(named)


def test_same_artifacts_same_page(results):
    assert write_page(results) == write_page(results)


def test_no_clips_when_none_are_asked_for(results):
    assert Page(write_page(results, num_videos=0)).all("video") == []


def test_a_clip_that_is_gone_is_said(results):
    (results.parent / "a.mp4").unlink()
    page = Page(write_page(results))
    assert len(page.all("video")) == 2
    assert "a.mp4: cannot be shown" in page.text


def test_small_clips_go_in_as_they_are(tmp_path):
    for name in ("x.mp4", "x.webm"):
        encode(tmp_path / name)
        content = base64.b64decode(data_uri(tmp_path / name).partition(",")[2])
        assert content == (tmp_path / name).read_bytes()


def test_long_and_large_clips_are_cut_down(tmp_path):
    encode(tmp_path / "long.avi", width=640, height=362, seconds=12, fps=30)
    media_type, codec, size, times = decode(data_uri(tmp_path / "long.avi"))
    assert (media_type, codec, size) == ("video/mp4", "h264", (320, 180))
    assert times[-1] == pytest.approx(10, abs=0.1)
    assert len(times) == pytest.approx(150, abs=2)
    encode(tmp_path / "long.mp4", seconds=12)
    assert decode(data_uri(tmp_path / "long.mp4"))[3][-1] == pytest.approx(10, abs=0.15)


def test_large_files_are_encoded_again(tmp_path, monkeypatch):
    encode(tmp_path / "x.webm")
    monkeypatch.setattr(clips, "MAX_BYTES", 10)
    assert decode(data_uri(tmp_path / "x.webm"))[1] == "h264"


def test_transcoding_keeps_time(tmp_path):
    encode(tmp_path / "x.avi", seconds=2, fps=5)
    times = decode(data_uri(tmp_path / "x.avi"))[3]
    assert times == pytest.approx([i / 5 for i in range(10)], abs=2e-3)


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_is_no_video_is_said(tmp_path, content):
    (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=r"x\.mp4: cannot be shown"):
        data_uri(tmp_path / "x.mp4")


def test_sound_alone_is_said(tmp_path):
    with av.open(str(tmp_path / "x.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with pytest.raises(VideoError, match="no video stream"):
        data_uri(tmp_path / "x.mp4")


def test_spread():
    assert spread(list("abcdefgh"), 4) == ["a", "c", "e", "g"]
    assert spread(["a", "b"], 20) == ["a", "b"]
    assert spread([], 3) == []


def test_clips_shown_are_captioned_by_some_experiment():
    table = {"captions": {}, "splits": {"test": ["a", "b", "c"]}}
    described = describe_dataset(table, {"one": {"a": "x"}, "two": {"c": "y"}}, 5)
    assert described["shown"] == ["a", "c"]
    assert described["splits"] == {"train": 0, "val": 0, "test": 3}


def test_stores_and_failures(tmp_path):
    dataset = tmp_path / "datasets/d"
    make_store(dataset / "frames/s/000.zarr", FRAMES, ["a", "b"], {"b": "empty"}, FRAME_ROWS)
    make_store(dataset / "frames/s/001.zarr", FRAMES, ["c"], {}, FRAME_ROWS)
    make_store(dataset / "motion/s/i3d/000.zarr", MOTION, ["a", "b"], {"a": "no window", "b": "empty"}, MOTION_ROWS)
    paths = ("motion/s/i3d/000.zarr", "frames/s/000.zarr/zarr.json", "frames/s/001.zarr")
    stores = [read_store(dataset / path) for path in paths]
    rows = {row["name"]: row for row in summarise(stores)}
    assert (rows["frames/s"]["num_shards"], rows["frames/s"]["num_videos"], rows["frames/s"]["num_failed"]) == (2, 2, 1)
    assert rows["frames/s"]["bytes_per_video"] > 100
    assert list_failures(stores) == [
        {"dataset": "d", "id": "a", "stage": "extract_i3d", "reason": "no window"},
        {"dataset": "d", "id": "b", "stage": "decode_frames", "reason": "empty"},
    ]


def test_a_store_elsewhere_is_refused(tmp_path):
    with pytest.raises(PipelineError, match="expected a path datasets/"):
        read_store(tmp_path / "frames/s/000.zarr")


def test_curves(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("epoch,step,train_loss,val_cider\n1,10,3.5,\n2,20,2.5,1.5\n")
    curves = read_curves(path)
    assert curves == {"train_loss": ([1, 2], [3.5, 2.5]), "val_cider": ([2], [1.5])}
    assert group(["train_loss", "train_left_to_right", "val_cider"]) == {
        "loss": ["train_loss", "train_left_to_right"],
        "val_cider": ["val_cider"],
    }
    picture = base64.b64decode(draw_curves(curves).partition(",")[2]).decode()
    assert "train loss" not in picture  # a single curve needs no legend
    assert ">val cider<" in picture
    path.write_text("epoch,train_loss\n")
    assert read_curves(path) == {}


def test_dag_arrows_leave_out_the_long_way():
    counts = {"index_videos": 2, "decode_frames": 2, "extract_i3d": 2, "import_weights": 2, "build_grid_nodes": 2}
    assert ("import_weights", "build_grid_nodes") in arrows(counts, nodes_use_imported=True)
    pairs = arrows(counts | {"finetune_clip4clip": 1}, nodes_use_imported=False)
    assert set(pairs) == {
        ("index_videos", "decode_frames"),
        ("decode_frames", "extract_i3d"),
        ("import_weights", "extract_i3d"),
        ("decode_frames", "finetune_clip4clip"),
        ("finetune_clip4clip", "build_grid_nodes"),
    }


def test_dag_draws_each_stage_once():
    counts = {"index_videos": 2, "decode_frames": 1, "score_captions": 0}
    picture = draw_dag(counts)
    assert [attrs["class"] for attrs in Page(picture).all("rect")] == ["stage", "stage"]
    assert "2 artifacts" in picture
    assert "1 artifact<" in picture
    assert "score_captions" not in picture


def test_dag_knows_every_stage():
    """A stage that is added to the workflow must be added to the picture."""
    assert set(PLACES) == set(stage_summaries())
    assert set(READS) <= set(PLACES)
