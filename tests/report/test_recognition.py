"""The page of recognition experiments, alone and beside captioning, and its parts."""

import json
import re
import shutil

import numpy as np
import pytest
from toys.recognized import artifacts_of, write_results
from toys.report import Page, report_of

from pipeline.artifact import write_json
from pipeline.config import PublishedSettings
from pipeline.report.artifacts import sort_by_kind
from pipeline.report.epic import METRICS
from pipeline.report.frame_strips import spread_frames
from pipeline.report.recognition import by_views, class_rows
from pipeline.report.regions import attention_matrix, describe_regions, nearness_rows
from pipeline.stages import write_report

TSM = PublishedSettings(dataset="leaning", system="TSM", top1=48.4, top5=None, source="Lin et al., 2019")
SHOWN = report_of(["plain", "regions"], videos=3, resamples=50, published=[TSM])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The text of the page of two experiments."""
    root = tmp_path_factory.mktemp("recognized")
    results, config = write_results(root)
    listed = root / "artifacts.txt"
    listed.write_text("".join(f"{path}\n" for path in artifacts_of(results)))
    given = {"artifacts": listed, "config": json.dumps(config), "settings": SHOWN, "stages": {}, "logs": root / "logs"}
    write_report.run(**given, out=root / "page.html")
    return (root / "page.html").read_text(encoding="utf-8")


def test_the_page_tells_of_recognizers_alone(page):
    read = Page(page)
    for expected in (
        "Videos to classes",
        "2 recognition experiments on leaning (18 training, 6 validation, 13 test clips; 3 classes)",
        "Best is plain , top-1 33.3 % [",
        "over regions, within chance",
        "12 of 13 clips, 2 seeds",
        "over clips, and over seeds together",
        "TSM published Lin et al., 2019 48.4 \u2013 \u2013",
        "are figures of others",
        "merged by logits and by probabilities",
        "top-1 by the number of views",
        "Wilson\u2019s 95 % interval",
        "taken for",
        "leaning: 3 of 13 test clips",
        "leaning: regions, conv2",
        "mean over 4 clips and over time",  # of all that are kept, not of the three that are shown
        "several epochs had the best top-1",
        "cut off",  # why a clip is left out
        "results/experiments/regions/test/scores.json",
    ):
        assert expected in read.text, expected
    told, settings = read.text.split("differ from the defaults")  # config.yaml has captioners, which the toy has not
    assert "captioners" in settings
    for absent in ("CIDEr", "Encoders", "caption"):
        assert absent not in told, absent
    assert len(read.all("img")) >= 3 + 2 * 3 + 2 + 2  # clips, regions and attention of two modules, curves


def test_the_page_stands_alone_and_is_accessible(page):
    read = Page(page)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", re.sub(r"base64,[\w+/=]+", "", page))
    assert all(attrs["alt"] and attrs["loading"] == "lazy" for attrs in read.all("img"))
    beside = {attrs["src"] for attrs in read.all("img") if not attrs["src"].startswith("data:image/svg+xml;")}
    assert beside  # strips and pictures of vectors; curves are in the page, for readers without scripts
    assert all(re.fullmatch(r"media/pictures/[0-9a-f]{16}\.(jpg|svg)", src) for src in beside)
    assert all("scope" in attrs for attrs in read.all("th"))
    named = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(named) == len(set(named))
    assert {attrs["href"][1:] for attrs in read.all("a")} <= set(named)


def test_the_page_has_the_mean_over_splits_that_share_clips_and_the_tables_of_epic_kitchens(tmp_path):
    results, config = write_results(tmp_path)
    shutil.rmtree(results / "experiments/regions")
    shutil.copytree(results / "experiments/plain", results / "experiments/again")
    (results / "datasets/other").mkdir()
    shutil.copy(results / "datasets/leaning/labels.json", results / "datasets/other/labels.json")
    split = {"kind": "ucf101", "videos": "v", "annotations": "a"}
    config["datasets"]["leaning"] = split | {"split": 1, "decoded_as": None}
    config["datasets"]["other"] = split | {"split": 2, "decoded_as": "leaning"}
    config["experiments"]["again"] = config["experiments"]["plain"] | {"dataset": "other"}
    figures = dict.fromkeys(METRICS, 0.25) | {"action_top1": 0.125, "noun_top1": None}
    rare = {"clips": {"verb": 7, "noun": 0, "action": 8}} | figures
    for trial in ("again", "again/seeds/2"):
        path = results / f"experiments/{trial}/test/epic_scores.json"
        write_json(path, {"parts": {"all": rare | figures, "tail": rare, "unseen": None}})
    listed = tmp_path / "artifacts.txt"
    paths = [*artifacts_of(results), *sorted(results.rglob("epic_scores.json"))]
    listed.write_text("".join(f"{path}\n" for path in paths))
    shown = SHOWN.model_copy(update={"experiments": ["plain", "again"]})
    given = {"artifacts": listed, "config": json.dumps(config), "settings": shown, "stages": {}, "logs": tmp_path}
    write_report.run(**given, out=tmp_path / "page.html")
    text = Page((tmp_path / "page.html").read_text(encoding="utf-8")).text
    for expected in (
        "ucf101: mean over splits",
        "test, splits 1, 2, 2 seeds",
        "other: all clips",
        "other: rare classes",
        "7 clips for verbs, 0 for nouns and 8 for actions",
        "CAST\u2019s action top-5",
        "again 25.0 \u00b1 0.0 25.0 25.0 25.0 \u00b1 0.0 25.0 25.0 \u2013",
    ):
        assert expected in text, expected
    assert "unseen participants" not in text
    assert "leaning: all clips" not in text


def test_accuracy_by_views_is_the_mean_over_seeds():
    def scores(*top1):
        return {"metrics": {"top1": top1[-1]}, "by_views": [{"metrics": {"top1": value}} for value in top1]}

    found = by_views({"one": [scores(0.1, 0.2), scores(0.3, 0.4)], "two": [scores(0.5)], "three": [scores(0, 0, 1)]})
    assert found["numbers"] == [1, 2, 3]
    assert [row["experiment"] for row in found["rows"]] == ["one", "three"]
    assert found["rows"][0]["values"] == [pytest.approx(0.2), pytest.approx(0.3), None]
    many = by_views({"many": [scores(*range(30))]})
    assert (many["numbers"][0], many["numbers"][-1], len(many["numbers"])) == (1, 30, 8)


def test_classes_without_clips_are_in_no_table():
    row = {"head": "class", "class": "run", "clips": "2", "top1": "0.5", "top1_low": "0.1", "top1_high": "0.9"}
    rows = class_rows({"one": [row, row | {"class": "fly", "clips": "0", "top1": ""}], "two": [row]})
    assert rows == [
        {"head": "class", "name": "run", "clips": 2, "top1": {"one": [0.5, 0.1, 0.9], "two": [0.5, 0.1, 0.9]}}
    ]


def test_regions_are_compared_with_the_grid():
    near, far = ({f"{i:02}": [value, 0.5, 0.5] for i in range(12)} for value in (0.1, 0.3))
    scores = {"statistics": {"layer2.1": {"module": near, "grid": far, "centre": far}}}
    rows = nearness_rows("mine", [scores], 20)
    assert [row["cells"]["distance"]["value"] for row in rows] == pytest.approx([0.1, 0.3, 0.3])
    assert rows[0]["cells"]["distance"]["difference"].value == pytest.approx(-0.2)
    assert rows[1]["cells"]["distance"]["difference"] is None


def test_distances_of_seeds_come_in_the_order_of_the_seeds(tmp_path):
    paths = []
    for place, value in (("mine/test", 0.1), ("mine/seeds/3/test", 0.3), ("mine/seeds/20/test", 0.2)):
        rows = {f"{i:02}": [value, 0.5, 0.5] for i in range(12)}
        path = tmp_path / "results/experiments" / place / "region_scores.json"
        statistics = {"layer2.1": dict.fromkeys(("module", "grid", "centre"), rows)}
        write_json(path, {"places": ["layer2.1"], "statistics": statistics})
        paths.append(path)
    config = {"experiments": {"mine": {"dataset": "digits", "seeds": [1, 3, 20]}}}
    rows = describe_regions(sort_by_kind(paths), "digits", config, {}, 20, tmp_path)["rows"]
    assert rows[0]["cells"]["distance"]["values"] == pytest.approx([0.1, 0.3, 0.2])


def test_attention_is_averaged_over_time():
    own = {"place": np.array([0, 0, 0, 0]), "step": np.array([0, 0, 1, 1])}
    own |= {"target": np.array([0, 0, 1, 1, 2, 2, 3, 3]), "weight": np.array([1.0, 0, 0, 1, 0, 1, 0, 1])}
    assert attention_matrix(own, 0).tolist() == [[0.5, 0.5], [0, 1]]
    assert attention_matrix(own, 1) is None


def test_frames_of_a_strip_are_in_the_middle_of_equal_parts():
    assert spread_frames(12) == [1, 3, 5, 7, 9, 11]
    assert spread_frames(2) == [0, 1]
