"""The page of several experiments: compared by data set, and over seeds."""

import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from toys.finished_experiment import CONFIG, listed, write_experiment, write_page
from toys.report import Page, report_of

from pipeline.artifact import write_json
from pipeline.report.dag import Stage
from pipeline.scoring.statistics import COLUMNS, Statistics, from_json
from pipeline.stages import write_report


@pytest.fixture
def results(tmp_path):
    return write_experiment(tmp_path)


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
        settings=report_of(names, videos=0, resamples=100, akg=True),
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
    pictures = [attrs["src"] for attrs in page.all("img") if attrs["src"].endswith(".png")]
    assert (out.parent / pictures[-1]).read_bytes() == (results / "encoders/masked/reconstructions.png").read_bytes()


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
        settings=report_of(["one", "two"], videos=2, resamples=100),
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
