"""Artifacts that are newer than now."""

import os
import time
from pathlib import Path

import pytest

from pipeline.workflow.clock import bring_back

DAY = 86400.0


def test_artifacts_of_the_future_are_of_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ages = {
        "results/datasets/home/captions.json": -DAY,
        "results/datasets/home/frames/action/000.zarr/zarr.json": 3 * DAY,
        "results/experiments/grid/model.safetensors": DAY,
        "results/notes.txt": DAY,  # no artifact
    }
    start = time.time()
    for name, ahead in ages.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        os.utime(path, (start + ahead, start + ahead))
    bring_back(tmp_path)
    end = time.time()
    captions, frames, model, notes = ((tmp_path / name).stat().st_mtime for name in ages)
    assert captions == pytest.approx(start - DAY)
    assert start <= frames == model <= end
    assert notes == pytest.approx(start + DAY)
    assert "2 artifacts were of the future" in capsys.readouterr().err
    bring_back(tmp_path)
    assert capsys.readouterr().err == ""
