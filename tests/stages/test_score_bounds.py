"""Floors and a ceiling of a split, by the scorers of all captions."""

import json

import pytest

from pipeline.artifact import write_json
from pipeline.errors import PipelineError
from pipeline.stages import score_bounds
from pipeline.stages.score_bounds import best_trial, candidates

REFERENCES = {
    "t": ["a man talks", "a man talks", "a cat"],
    "v1": ["a man sings", "a man sings loudly"],
    "v2": ["a cat sleeps", "a cat is asleep"],
    "v3": ["two dogs run"],
}
TOLD = {"v1": "a man sings", "v2": "a cat sleeps", "v3": "dogs"}


def test_rows_are_made_of_train_captions_of_the_best_trial_and_of_references():
    truth = {i: REFERENCES[i] for i in ("v1", "v2", "v3")}
    rows = {name: (kind, captions, of) for name, kind, captions, of in candidates(REFERENCES["t"], TOLD, truth, "bare")}
    assert rows["commonest"] == ("floor", dict.fromkeys(truth, "a man talks"), truth)
    kind, captions, of = rows["others"]
    assert kind == "floor"
    assert sorted(captions.values()) == sorted(TOLD.values())
    assert of == truth
    kind, captions, of = rows["reference"]
    assert (kind, set(captions), set(of)) == ("ceiling", {"v1", "v2"}, {"v1", "v2"})
    assert [name for name, *_ in candidates([], {}, {"v3": ["two dogs run"]}, "bare")] == []


def write_trial(results, name, cider):
    folder = results / f"experiments/{name}/test"
    write_json(folder / "captions.json", {"captions": TOLD, "missing": [], "tokenizer": "ptb"})
    write_json(folder / "scores.json", {"metrics": {"CIDEr": cider}})
    return folder


def test_the_best_trial_is_that_of_the_best_cider(tmp_path):
    scores = [write_trial(tmp_path / "results", name, cider) / "scores.json" for name, cider in (("a", 1), ("b", 2))]
    assert best_trial(scores) == "b"
    assert best_trial([]) is None
    with pytest.raises(PipelineError, match="expected a path such as"):
        score_bounds.trial_of(tmp_path / "scores.json")


@pytest.mark.slow
def test_run_scores_every_row(tmp_path):
    splits = {"train": ["t"], "val": [], "test": ["v1", "v2", "v3"]}
    write_json(tmp_path / "captions.json", {"captions": REFERENCES, "splits": splits})
    folders = [write_trial(tmp_path / "results", name, cider) for name, cider in (("a", 1), ("a/seeds/2", 2))]
    out = tmp_path / "bounds.json"
    score_bounds.run(
        captions=[folder / "captions.json" for folder in folders],
        scores=[folder / "scores.json" for folder in folders],
        references=tmp_path / "captions.json",
        split="test",
        out=out,
    )
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["best"] == "a/seeds/2"
    rows = {row["name"]: row for row in found["rows"]}
    assert [row["num_covered"] for row in found["rows"]] == [3, 3, 2]
    assert rows["commonest"]["told"] == "a man talks"
    assert rows["others"]["metrics"]["CIDEr"] < rows["reference"]["metrics"]["CIDEr"]
    with pytest.raises(PipelineError, match="none of the 0 videos of split 'val' has a reference"):
        score_bounds.run(captions=[], scores=[], references=tmp_path / "captions.json", split="val", out=out)
