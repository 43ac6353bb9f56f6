"""What a data set without a test split is scored on, and that a split without videos is known before any training."""

import shutil
from pathlib import Path

import pytest
from toys.project_sources import copy_sources
from toys.tiny_project import Project, write_home, write_unseen

from pipeline.workflow.splits import needed_splits, scored_splits

LISTS = {"train": "t.json", "val": "v.json"}


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A tiny project in which nothing was run."""
    copy_sources(tmp_path)
    shutil.copy2(Path(__file__).with_name("tiny.yaml"), tmp_path / "tiny.yaml")
    write_home(tmp_path)
    write_unseen(tmp_path)
    return Project(tmp_path)


@pytest.mark.parametrize(
    ("dataset", "scored"),
    [
        ({"kind": "vatex", "captions": LISTS | {"test": None}}, ["val"]),
        ({"kind": "vatex", "captions": LISTS | {"test": "s.json"}}, ["val", "test"]),
        ({"kind": "msvd", "captions": "c.csv", "splits": LISTS | {"test": None}}, ["val"]),
        ({"kind": "msvd", "captions": ["c.csv"], "splits": "position"}, ["val", "test"]),
        ({"kind": "folder", "captions": None, "splits": {"train": 0.9, "val": 0.1, "test": 0.0}}, ["val"]),
        ({"kind": "folder", "captions": "c.csv", "splits": {"train": 0.8, "val": 0.1, "test": 0.1}}, ["val", "test"]),
        ({"kind": "kinetics", "annotations": LISTS | {"test": None}}, ["val"]),
        ({"kind": "kinetics", "annotations": {"train": "t.csv", "val": 0.1, "test": "s.csv"}}, ["val", "test"]),
        ({"kind": "something_something", "splits": {"val": "validation", "test": None}, "annotations": "a"}, ["val"]),
        ({"kind": "ucf101", "annotations": "a", "split": 1, "val": 0.1}, ["val", "test"]),
        ({"kind": "shapes", "captions": 5, "clips": {"train": 1, "val": 1, "test": 1}}, ["val", "test"]),
    ],
)
def test_scores_are_those_of_the_splits_there_are(dataset, scored):
    assert scored_splits(dataset) == scored


def test_a_data_set_needs_splits_where_a_captioner_learns_from_it():
    config = {
        "datasets": {"a": {"captions": LISTS | {"test": None}}, "b": {"captions": None}, "c": {"captions": "c.csv"}},
        "experiments": {"one": {"kind": "captioning", "dataset": "a"}, "two": {"kind": "other", "dataset": "c"}},
    }
    assert [needed_splits(config, name) for name in "abc"] == [["train", "val"], [], []]
    assert [needed_splits(config, name, ["other"]) for name in "abc"] == [[], [], ["train", "val", "test"]]


def test_without_a_test_split_the_report_is_on_validation(fresh: Project) -> None:
    fresh.configure(datasets={"home": {"splits": {"train": 0.9, "val": 0.1, "test": 0.0}}})
    jobs = fresh.jobs("results/report/index.html")
    scored = {job for job in jobs if job.startswith(("score_captions", "generate_captions"))}
    assert scored
    assert all("val" in job and "test" not in job for job in scored)
    done = fresh.snakemake("--dry-run", "results/experiments/grid/test/scores.json")
    assert done.returncode != 0
    assert "data set home has no split test: its settings say so" in done.stdout
    assert "ask for the scores of val" in done.stdout


def test_a_split_without_videos_is_known_before_anything_is_decoded(fresh: Project) -> None:
    captions = fresh.root / "captions.csv"
    captions.write_text(captions.read_text(encoding="utf-8").replace(",test\n", ",train\n"), encoding="utf-8")
    done = fresh.snakemake("results/datasets/home/captions.json")
    assert done.returncode != 0
    assert "experiments on this data set need videos of split test, and none is there with captions" in done.stdout
    assert "`splits: {test: 0}`), and scores are those of validation" in done.stdout
