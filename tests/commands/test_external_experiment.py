"""An external experiment has no model that a command could show videos to, and its scores are printed."""

from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.artifact import write_json
from pipeline.report.score_lines import score_lines


def test_caption_says_what_to_name_in_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "results/experiments/told"
    write_json(folder / "settings.json", {"kind": "external"})
    (tmp_path / "a.mp4").touch()
    flags = ["--experiment", str(folder), "--out", str(tmp_path / "o.json")]
    assert main(["caption", str(tmp_path / "a.mp4"), *flags]) == 2
    error = capsys.readouterr().err
    assert "told: an experiment of kind external has no model of its own: another system made its captions" in error


def test_its_scores_are_lines(tmp_path: Path) -> None:
    write_json(tmp_path / "told/settings.json", {"kind": "external", "experiment": {"kind": "external", "seeds": [0]}})
    write_json(tmp_path / "told/test/scores.json", {"metrics": {"CIDEr": 1.25}, "num_covered": 2, "num_videos": 6})
    assert score_lines(tmp_path / "told") == "Test split: 2 of 6 videos captioned\n  CIDEr 1.250"
