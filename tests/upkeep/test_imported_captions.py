"""Captions of another system are compared with the file that they came from."""

import json
from pathlib import Path

import pytest

from pipeline.artifact import file_digest, write_json
from pipeline.upkeep.inventory import take_inventory
from pipeline.upkeep.verification import verify


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "told.json").write_text('{"v": "a man"}', encoding="utf-8")
    index = tmp_path / "results/datasets/d/captions.json"
    write_json(index, {"captions": {"v": ["a man"]}, "splits": {"test": ["v"]}})
    folder = tmp_path / "results/experiments/told"
    named = {"val": None, "test": "told.json"}
    write_json(folder / "settings.json", {"name": "told", "experiment": {"captions": named}})
    imported = {"file": "told.json", "digest": file_digest(tmp_path / "told.json"), "form": "mapping"}
    inputs = {"captions": {"digest": file_digest(index), "path": "datasets/d/captions.json"}}
    content = {"captions": {"v": "a man"}, "missing": [], "imported": imported, "inputs": inputs}
    write_json(folder / "test/captions.json", content)
    return tmp_path / "results"


def reasons(results: Path) -> list[tuple[str, str]]:
    return [(finding.state, finding.reason) for finding in verify(take_inventory(results))]


def test_all_is_well(results: Path) -> None:
    assert reasons(results) == []


def test_another_file_makes_them_stale_and_none_makes_orphans(results: Path) -> None:
    told = results.parent / "told.json"
    told.write_text(json.dumps({"v": "a cat"}), encoding="utf-8")
    assert reasons(results) == [
        ("stale", "the file it was imported from (told.json) holds other bytes than it did"),
    ]
    told.unlink()
    assert reasons(results) == [("orphaned", "the file it was imported from (told.json) is not there any more")]


def test_settings_that_are_not_there_say_nothing(results: Path) -> None:
    (results.parent / "told.json").unlink()
    (results / "experiments/told/settings.json").unlink()
    assert reasons(results) == []
