"""What the score table says of what was not trained here."""

import pytest

from pipeline.artifact import write_json
from pipeline.config import ClipScoresSettings, PublishedCaptionsSettings, PublishedSettings, ReportSettings
from pipeline.report.artifacts import sort_by_kind
from pipeline.report.others import (
    clip_metrics,
    describe_bounds,
    describe_clip_scores,
    describe_external,
    published_captions,
    words_of,
)
from pipeline.scoring.statistics import COLUMNS, METRICS


def settings(*published, metric="clip_score"):
    return ReportSettings(
        experiments=["a", "b"],
        videos=0,
        resamples=20,
        akg=False,
        clip_scores=ClipScoresSettings(encoder="judge", sampling="s", metric=metric),
        published=list(published),
        explanations=[],
    )


def paper(system, dataset="d", **metrics):
    return PublishedCaptionsSettings(
        dataset=dataset, system=system, metrics=metrics, optimises_cider=False, source="paper"
    )


def test_published_figures_are_those_of_captions_of_the_data_set_divided_by_a_hundred():
    accuracy = PublishedSettings(dataset="d", system="other", top1=50.0, top5=None, source="paper")
    rows = published_captions(
        settings(paper("low", CIDEr=57.5), accuracy, paper("none", METEOR=30.0), paper("high", CIDEr=120.0)), "d"
    )
    assert [row["system"] for row in rows] == ["high", "low", "none"]
    assert rows[0]["metrics"] == {"CIDEr": 1.2}
    assert published_captions(settings(paper("s", "other", CIDEr=1.0)), "d") == []


def test_external_experiments_are_described_with_their_files():
    imported = {"file": "told.json", "digest": "0", "form": "mapping"}
    content = {"captions": {"v": "a"}, "missing": ["w"], "imported": imported, "notes": ["a note"]}
    config = {"experiments": {"a": {"kind": "external", "system": "S"}, "b": {"kind": "captioning"}}}
    found = describe_external({"a": {"test": content}, "b": {"test": {"captions": {}}}}, config)
    assert set(found) == {"a"}
    assert found["a"]["system"] == "S"
    told = {"notes": ["a note"], "captioned": 1, "missing": 1}
    assert found["a"]["files"] == {"test": imported | told}


def test_bounds_have_words_and_intervals(tmp_path):
    path = tmp_path / "results/datasets/d/bounds/test.json"
    rows = {f"v{number:02d}": [1] * len(COLUMNS) for number in range(12)}
    row = {
        "name": "commonest",
        "kind": "floor",
        "told": "a man",
        "metrics": dict.fromkeys(METRICS, 0.5),
        "statistics": {"columns": list(COLUMNS), "videos": rows},
        "num_videos": 13,
        "num_covered": 12,
    }
    write_json(path, {"split": "test", "best": "a", "rows": [row]})
    [found] = describe_bounds(sort_by_kind([path]), 20)["d"]["test"]
    assert found["words"] == "the commonest training caption for every video: a man"
    assert found["cells"]["CIDEr"] == {"value": 0.5, "interval": (1.0, 1.0)}
    assert (found["num_covered"], found["num_videos"], found["kind"]) == (12, 13, "floor")
    assert words_of({"name": "others"}, "grid/seeds/2") == "captions of grid/seeds/2, each at another video"
    assert "against its others" in words_of({"name": "reference"}, None)


def test_scores_without_references_have_the_names_that_the_report_asks_for(tmp_path):
    assert clip_metrics(settings()) == ("CLIPScore", "RefCLIPScore", "EMScore", "EMScore_ref")
    assert clip_metrics(settings().model_copy(update={"clip_scores": None})) == ()
    path = tmp_path / "results/experiments/a/test/clip_scores/pac_s/s/judge.json"
    metrics = {"PAC-S": 0.5, "RefPAC-S": 1, "EMScore": 2, "EMScore_ref": 3}
    told = {"metrics": metrics, "by_video": {"v": [0.5, 1, 2, 3]}, "num_covered": 1, "num_videos": 1, "notes": []}
    write_json(path, told)
    config = {"experiments": {"a": {"dataset": "d"}}}
    [row] = describe_clip_scores(sort_by_kind([path]), config, settings(metric="pac_s"), ["a"])["d"]["test"]
    assert {name: cell["value"] for name, cell in row["cells"].items()} == metrics


def test_scores_without_references_are_compared(tmp_path):
    paths = []
    for name, plus in (("a", 0.0), ("b", 0.25)):
        path = tmp_path / f"results/experiments/{name}/test/clip_scores/clip_score/s/judge.json"
        by_video = {f"v{number:02d}": [number + plus, 1, 2, 3] for number in range(12)}
        metrics = {"CLIPScore": 5.5 + plus, "RefCLIPScore": 1, "EMScore": 2, "EMScore_ref": 3}
        scores = {"metrics": metrics, "by_video": by_video, "num_covered": 12, "num_videos": 14, "notes": []}
        write_json(path, scores)
        paths.append(path)
    config = {"experiments": {name: {"dataset": "d"} for name in ("a", "b")}}
    rows = describe_clip_scores(sort_by_kind(paths), config, settings(), ["a", "b"])["d"]["test"]
    assert [row["experiment"] for row in rows] == ["a", "b"]
    assert rows[0]["cells"]["CLIPScore"]["difference"] is None
    difference = rows[1]["cells"]["CLIPScore"]["difference"]
    assert difference.value == pytest.approx(0.25)
    assert difference.interval == pytest.approx((0.25, 0.25))
    assert (rows[1]["num_covered"], rows[1]["num_videos"]) == (12, 14)
