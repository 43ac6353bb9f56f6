"""Test the table of a training's curves by hand."""

from pathlib import Path

from pipeline.training.curves import write_curves
from pipeline.training.loop import Trained


def test_the_row_of_the_epoch_that_was_kept_says_what_chose_it(tmp_path: Path) -> None:
    records = [{"epoch": 1, "loss": 0.5, "score": None}, {"epoch": 2, "loss": 1 / 3, "score": 0.25}]
    write_curves(tmp_path / "curves.csv", Trained(records, 2), "train", ("epoch", "loss", "score"), "score", ".3f")
    rows = "epoch,loss,score,kept_by\n1,0.500,,\n2,0.333,0.250,score\n"
    assert (tmp_path / "curves.csv").read_text(encoding="utf-8") == rows


def test_a_training_without_epochs_has_a_header_alone(tmp_path: Path) -> None:
    write_curves(tmp_path / "curves.csv", Trained([], 0), "train", ("epoch", "loss"), "", ".3f")
    assert (tmp_path / "curves.csv").read_text(encoding="utf-8") == "epoch,loss,kept_by\n"
