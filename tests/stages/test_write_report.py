"""The report page: what it holds, that it asks no server, that captions cannot break it, and that clips play."""

import json
import re
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from toys.recognized import artifacts_of, write_results
from toys.report import FRAME_ROWS, MOTION_ROWS, Page, encode, make_store, seen_in

from pipeline.artifact import write_json
from pipeline.config import ReportSettings
from pipeline.report.artifacts import sort_by_kind
from pipeline.report.dag import Stage
from pipeline.report.datasets import clips_of, describe_dataset
from pipeline.report.folder import write_clips
from pipeline.schemas import FRAMES, MOTION
from pipeline.scoring.statistics import COLUMNS, METRICS, Statistics, from_json
from pipeline.stages import write_report
from pipeline.workflow.shown import spread

OWN_SCRIPTS = ["data.js", "vendor/tabulator.min.js", "vendor/uPlot.iife.min.js", "page.js"]
NASTY = '<script>alert("x")</script> & a "dog"\'s hat'
CONFIG = {
    "datasets": {"tiny": {"kind": "folder"}},
    "encoders": {"i3d": {"kind": "i3d"}, "clip": {"kind": "clip4clip"}},
    "experiments": {"one": {"kind": "captioning", "dataset": "tiny", "vocabulary": "tiny", "seeds": [1]}},
    "report": {"experiments": ["one"], "videos": 3},
}
ARTIFACTS = [
    *(f"experiments/one/{split}/{name}.json" for split in ("test", "val") for name in ("scores", "captions")),
    "experiments/one/curves.csv",
    "datasets/tiny/captions.json",
    "datasets/tiny/videos/000.json",
    "datasets/tiny/motion/s/i3d/000.zarr/zarr.json",
    "datasets/tiny/frames/s/000.zarr/zarr.json",
    "encoders/i3d/weights.safetensors",
    "encoders/clip/weights.safetensors",
    "encoders/clip/retrieval.json",
]


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
    metrics = dict.fromkeys(METRICS, 0.5) | {"CIDEr": 2.345}
    for split, covered in {"test": {"a": NASTY, "b": "a cat", "c": ""}, "val": {"a": "a dog"}}.items():
        write_json(experiment / split / "captions.json", {"captions": covered, "missing": []})
        scores = {"split": split, "metrics": metrics, "num_videos": 4, "num_covered": len(covered), "num_distinct": 3}
        statistics = Statistics(tuple(covered), np.ones((len(covered), len(COLUMNS))))
        scores["statistics"] = statistics.to_json()
        more = {"novel_share": 0.25, "mean_words": 4.0, "cider_by_video": {"a": 1.25}, "notes": [], "missing": []}
        write_json(experiment / split / "scores.json", scores | more)
    rows = ("epoch,train_loss,val_loss,val_cider,kept_by", "1,3.5,3.6,,", "2,2.5,2.7,1.5,val_loss")
    (experiment / "curves.csv").write_text("".join(f"{row}\n" for row in rows))
    encoders = tmp_path / "results/encoders"
    for name, origin in {"i3d": "random", "clip": "fine-tuned on tiny from random"}.items():
        (encoders / name).mkdir(parents=True)
        metadata = {"kind": CONFIG["encoders"][name]["kind"], "origin": origin}
        save_file({"w": np.zeros(1)}, encoders / name / "weights.safetensors", metadata=metadata)
    recalls = {"R@1": 0.125, "R@5": 0.5, "R@10": 1.0, "median_rank": 3.5}
    write_json(encoders / "clip/retrieval.json", {"best": {"text_to_video": recalls, "video_to_text": recalls}})
    log = tmp_path / "logs/decode_frames/tiny/s/000.tsv"
    log.parent.mkdir(parents=True)
    log.write_text("s\th:m:s\n12.4\t0:00:12\n")
    return tmp_path / "results"


def listed(results, paths):
    """The list that the rule writes: a path a line."""
    path = results.parent / "artifacts.txt"
    path.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    return path


def write_page(results, num_videos=3):
    out = results / "report/index.html"
    write_report.run(
        artifacts=listed(results, [results / path for path in ARTIFACTS]),
        config=json.dumps(CONFIG),
        settings=ReportSettings(
            experiments=["one"],
            videos=num_videos,
            resamples=50,
            akg=False,
            clip_scores=None,
            published=[],
            explanations=[],
        ),
        stages={"decode_frames": Stage(1, []), "extract_i3d": Stage(1, ["decode_frames"])},
        logs=results.parent / "logs",
        out=out,
    )
    return out.read_text(encoding="utf-8")


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
    epochs = [{"epoch": 1, "loss": 0.5, "val_loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_loss": 0.375}]
    masked = {"masked": 0.75, "targets": "normalised"}
    told = {"epochs": epochs, "settings": masked, "num_clips": {"train": 21, "val": 4}, "shown": ["v07"]}
    write_json(results / "encoders/masked/pretraining.json", told)
    metadata = {"kind": "videomae", "origin": "pre-trained on tiny from random"}
    save_file({"w": np.zeros(1)}, results / "encoders/masked/weights.safetensors", metadata=metadata)
    Image.new("RGB", (8, 8), "#336699").save(results / "encoders/masked/reconstructions.png")
    ranks = {"mrr": 0.625, "hits@10": 0.875, "chance": {"mrr": 0.25, "hits@10": 0.5}}
    counts = {"num_entities": 7, "num_relations": 3, "num_triplets": {"train": 40, "held_out": 4}}
    write_json(results / "knowledge/said/scores.json", {"model": "transe", "filtered": ranks, **counts})
    return config


def test_experiments_are_compared_by_data_set(results, two_datasets):
    names, out = ["far", "one", "two"], results / "report/index.html"
    kinds = ("scores.json", "akg_scores.json", "captions.json")
    paths = [f"experiments/{name}/{split}/{kind}" for name in names for split in ("test", "val") for kind in kinds]
    paths += [f"experiments/{name}/curves.csv" for name in names]
    paths += [f"datasets/{name}/captions.json" for name in ("tiny", "other")]
    paths += ["datasets/tiny/videos/000.json", "datasets/tiny/frames/s/000.zarr/zarr.json"]
    paths += [f"encoders/finder/{name}" for name in ("weights.safetensors", "detection.json")]
    masked = ("weights.safetensors", "pretraining.json", "reconstructions.png")
    paths += ["knowledge/said/scores.json", *(f"encoders/masked/{name}" for name in masked)]
    write_report.run(
        artifacts=listed(results, [results / path for path in paths] * 2),
        config=json.dumps(two_datasets | {"encoders": {"finder": {"kind": "detector"}}}),
        settings=ReportSettings(
            experiments=names, videos=0, resamples=100, akg=True, clip_scores=None, published=[], explanations=[]
        ),
        stages={"decode_frames": Stage(1, []), "extract_i3d": Stage(1, ["decode_frames"])},
        logs=results.parent / "logs",
        out=out,
    )
    page = Page(out.read_text(encoding="utf-8"))
    for expected in (
        "tiny: test split",
        "other: test split",
        "\u25b2 +0.100 [ +0.100 , +0.100 ]",  # two is better than one in each video; far is not compared with them
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
    assert page.text.count("pre-trained on tiny from random") == 1
    assert page.text.count("trained on tiny from random") == 2
    said = " ".join(page.text.split())
    assert (
        "2 epochs on 21 clips, of which 75 % of the places were hidden in all frames. The loss fell from 0.5000" in said
    )
    assert "The loss fell from 0.5000 to 0.2500; on validation clips it ended at 0.3750" in said
    assert "(v07)" in said
    pictures = [attrs["src"] for attrs in page.all("img") if attrs["src"].startswith("data:image/png;base64,")]
    assert b64decode(pictures[-1].partition(",")[2]) == (results / "encoders/masked/reconstructions.png").read_bytes()


def test_several_seeds_are_shown_together(results, two_datasets):
    """`two` has a second seed, a whole point better in CIDEr; clips and captions are those of the first one."""
    config = two_datasets | {"encoders": {}}
    config["experiments"]["two"] = config["experiments"]["one"] | {"seeds": [1, 7]}
    first, second = results / "experiments/two", results / "experiments/two/seeds/7"
    for split in ("val", "test"):
        scores = json.loads((first / split / "scores.json").read_text())
        statistics = from_json(scores["statistics"])
        rows = statistics.rows_VS.copy()
        rows[:, COLUMNS.index("CIDEr")] += 1
        statistics = Statistics(statistics.ids, rows)
        noted = {"metrics": statistics.scores(), "statistics": statistics.to_json(), "notes": ["a note"]}
        write_json(second / split / "scores.json", scores | noted)
        captions = dict.fromkeys(statistics.ids, "a second hat")
        write_json(second / split / "captions.json", {"captions": captions, "missing": []})
    (second / "curves.csv").write_text("epoch,train_loss\n1,3.25\n")
    folders = [results / f"experiments/{name}" for name in ("one", "two", "two/seeds/7")]
    out = results / "report/index.html"
    write_report.run(
        artifacts=listed(
            results,
            [
                *[
                    folder / split / name
                    for folder in folders
                    for split in ("val", "test")
                    for name in ("scores.json", "captions.json")
                ],
                *[folder / "curves.csv" for folder in folders],
                results / "datasets/tiny/captions.json",
                results / "datasets/tiny/videos/000.json",
            ],
        ),
        config=json.dumps(config),
        settings=ReportSettings(
            experiments=["one", "two"],
            videos=2,
            resamples=100,
            akg=False,
            clip_scores=None,
            published=[],
            explanations=[],
        ),
        stages={},
        logs=results.parent / "logs",
        out=out,
    )
    page = Page(out.read_text(encoding="utf-8"))
    one, two = 1 + sum(range(12)) / 12, 1 + sum(range(12)) / 12 + 0.1
    for expected in (
        f"{two + 0.5:.3f} \u00b1 0.707 {two:.3f} {two + 1:.3f}",  # of two figures, 1 apart: 1 over the root of 2
        f"{one:.3f} [",  # one seed: no spread
        "12 of 12 videos, 2 seeds",
        "+0.600",  # mean of the seeds, to the first experiment
        "over videos and seeds together",
        "Where an experiment has one seed the interval is over videos alone",
        "those of each experiment\u2019s first seed",
        "two, val: a note.",
    ):
        assert expected in page.text, expected
    assert "second hat" not in page.text
    alone = Page(write_page(results))
    assert "over videos alone" in alone.text
    assert "seeds together" not in alone.text


def test_untrained_encoders_are_announced(results):
    page = Page(write_page(results))
    assert "Untrained encoder: i3d" in page.text
    metadata = {"kind": "i3d", "origin": "file rgb_imagenet.pt sha256 00"}
    save_file({"w": np.zeros(1)}, results / "encoders/i3d/weights.safetensors", metadata=metadata)
    assert "Untrained" not in Page(write_page(results)).text


def test_page_is_escaped(results):
    text = write_page(results)
    page = Page(text)
    assert [attrs["src"] for attrs in page.all("script")] == OWN_SCRIPTS
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
        settings=ReportSettings(
            experiments=["one"], videos=3, resamples=50, akg=False, clip_scores=None, published=[], explanations=[]
        ),
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
        settings=ReportSettings(
            experiments=["one", "plain", "regions"],
            videos=1,
            resamples=20,
            akg=False,
            clip_scores=None,
            published=[],
            explanations=[],
        ),
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
