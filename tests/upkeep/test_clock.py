"""Artifacts that are newer than now: told of, and brought back by `--mend` in the order they had."""

import os
import time
from pathlib import Path

import pytest

from pipeline.commands import verify as verify_command
from pipeline.upkeep import clock
from pipeline.upkeep.inventory import take_inventory

from .conftest import FRAMES_OF_HOME, GRAPHS_OF_HOME, NODES_OF_HOME

HOUR = 3600.0
AHEAD = {
    f"{FRAMES_OF_HOME}/zarr.json": HOUR,
    f"{NODES_OF_HOME}/zarr.json": 3 * HOUR,  # made after the graphs that stand on it
    f"{GRAPHS_OF_HOME}/zarr.json": 2 * HOUR,
}


@pytest.fixture
def moved_back(results: Path) -> Path:
    """Results of which three artifacts, and a file that is none, are of the future."""
    (results / "notes.txt").write_text("mine")
    start = time.time()
    for path in results.rglob("*"):
        os.utime(path, (start - HOUR, start - HOUR))
    for name, ahead in {**AHEAD, "notes.txt": 2 * HOUR}.items():
        os.utime(results / name, (start + ahead, start + ahead))
    return results


def times(results: Path) -> dict[str, int]:
    return {path.relative_to(results).as_posix(): path.stat().st_mtime_ns for path in results.rglob("*")}


def test_artifacts_of_the_future_are_told_of_and_left(moved_back: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = times(moved_back)
    assert verify_command.main([str(moved_back)]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "8 artifacts: all is well (1 files that are not ours)",
        "3 artifacts are newer than now, by up to 3.0 h: Snakemake fails the jobs that read them: "
        "python -m pipeline verify --mend",
    ]
    assert times(moved_back) == before


def test_mend_brings_them_back_in_their_order(moved_back: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, start = times(moved_back), time.time_ns()
    assert verify_command.main([str(moved_back), "--mend"]) == 0
    assert "3 artifacts are newer than now, by up to 3.0 h: 3 were set to now" in capsys.readouterr().out
    after, end = times(moved_back), time.time_ns()
    frames, nodes, graphs = (after[name] for name in AHEAD)
    assert start < frames < graphs < nodes < end
    assert {name for name in before if before[name] != after[name]} == AHEAD.keys()
    assert verify_command.main([str(moved_back)]) == 0
    assert "newer than now" not in capsys.readouterr().out


def test_floats_as_snakemake_reads_them_keep_the_order(moved_back: Path) -> None:
    clock.bring_back(clock.ahead_of_now(take_inventory(moved_back)))
    frames, nodes, graphs = ((moved_back / name).stat().st_mtime for name in AHEAD)
    assert frames < graphs < nodes


def test_times_that_may_not_be_changed_are_told_of(
    moved_back: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change = os.utime

    def refuse(path: Path, ns: tuple[int, int]) -> None:
        if "nodes" in path.parts:
            raise PermissionError(1, "Operation not permitted", str(path))
        change(path, ns=ns)

    monkeypatch.setattr(os, "utime", refuse)
    assert verify_command.main([str(moved_back), "--mend"]) == 2
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first.endswith("3.0 h: 2 were set to now")
    file = moved_back.resolve() / NODES_OF_HOME / "zarr.json"
    assert second == f"1 could not be set to now, {file} among them: touch them as their owner"
