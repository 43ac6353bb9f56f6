"""A training whose outputs were deleted after it had ended."""

from pathlib import Path

import pytest

from pipeline.jobs.finished_training import is_finished, keep, put_back


@pytest.fixture
def outputs(tmp_path: Path) -> list[Path]:
    """Kept, and then deleted."""
    paths = [tmp_path / "results" / "model.safetensors", tmp_path / "results" / "curves.csv"]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text(f"content of {path.name}")
    assert not is_finished(tmp_path / "run", paths)
    keep(tmp_path / "run", paths)
    keep(tmp_path / "run", paths)  # of a second call that made them again
    for path in paths:
        path.unlink()
    return paths


def test_outputs_are_put_back(tmp_path: Path, outputs: list[Path]) -> None:
    assert is_finished(tmp_path / "run", outputs)
    put_back(tmp_path / "run", outputs)
    assert [path.read_text() for path in outputs] == ["content of model.safetensors", "content of curves.csv"]
    assert is_finished(tmp_path / "run", outputs)


def test_they_take_no_room_twice(tmp_path: Path, outputs: list[Path]) -> None:
    put_back(tmp_path / "run", outputs)
    assert [path.stat().st_nlink for path in outputs] == [2, 2]


def test_outputs_that_are_there_stay_and_nothing_is_left_beside_them(tmp_path: Path, outputs: list[Path]) -> None:
    put_back(tmp_path / "run", outputs)
    put_back(tmp_path / "run", outputs)
    assert sorted((tmp_path / "results").iterdir()) == sorted(outputs)


def test_where_there_are_no_links_they_are_copied(
    tmp_path: Path, outputs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    put_back(tmp_path / "run", outputs)
    assert [path.stat().st_nlink for path in outputs] == [1, 1]
    assert outputs[1].read_text() == "content of curves.csv"


@pytest.mark.parametrize("name", ["model.safetensors", "digests.json"])
def test_what_is_damaged_is_not_put_back(tmp_path: Path, outputs: list[Path], name: str) -> None:
    (tmp_path / "run" / "finished" / name).write_text("{other")
    assert not is_finished(tmp_path / "run", outputs)


def test_one_that_is_missing_is_as_none(tmp_path: Path, outputs: list[Path]) -> None:
    (tmp_path / "run" / "finished" / "curves.csv").unlink()
    assert not is_finished(tmp_path / "run", outputs)
