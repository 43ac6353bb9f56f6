"""The table at the end of `make demo`."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.artifact import write_json
from pipeline.report.score_table import columns_of, main, next_steps, score_table, tables
from pipeline.scoring.accuracy import Hits
from pipeline.scoring.bootstrap import Estimate
from pipeline.scoring.coco import score_tokenised, tokenise_pairs

ROOT = Path(__file__).parents[2]


def write_experiment(results, name, kind, stored, split="test"):
    write_json(results / name / "settings.json", {"experiment": {"kind": kind, "seeds": [1]}})
    metrics = {"CIDEr": 1.0} if kind == "captioning" else stored
    scores = {"metrics": metrics, "num_covered": 12, "num_videos": 13, "statistics": stored}
    write_json(results / name / split / "scores.json", scores)
    return results / name


def hits(right):
    """Twelve clips of eight classes, of which the first `right` are told at once and the others third."""
    ranks = np.array([[0 if number < right else 2] for number in range(12)], np.int64)
    return Hits(tuple(f"c{number:02d}" for number in range(12)), {"label": 8}, ranks * 0, ranks).to_json()


def test_scores_stand_above_their_intervals_in_the_order_of_the_columns():
    metrics = {"CIDEr": Estimate(1.25, (1.0, 1.5)), "Bleu_4": Estimate(0.5, None)}
    assert score_table({"grid": metrics}, {"Bleu_4": "BLEU-4", "CIDEr": "CIDEr"}).splitlines() == [
        "      BLEU-4           CIDEr",
        "grid   0.500           1.250",
        "              1.000 to 1.500",
    ]


def test_columns_are_those_of_papers():
    assert list(columns_of(["Bleu_1", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr"]).values()) == [
        "BLEU-4",
        "METEOR",
        "ROUGE-L",
        "CIDEr",
    ]
    assert columns_of(["top1", "top5", "mean_class"]) == {"top1": "top-1", "top5": "top-5"}
    assert columns_of(["verb_top1", "verb_mean_class", "all_top1"]) == {
        "verb_top1": "verb top-1",
        "all_top1": "all top-1",
    }


def test_recognizers_have_top_1_and_top_5(tmp_path):
    folders = [write_experiment(tmp_path, f"r{right}", "recognition", hits(right)) for right in (0, 12)]
    assert tables(folders, 50).splitlines() == [
        "Test split: 12 of 13 clips recognized; below each score its 95 % interval",
        "",
        "              top-1           top-5",
        "r0            0.000           1.000",
        "     0.000 to 0.000  1.000 to 1.000",
        "r12           1.000           1.000",
        "     1.000 to 1.000  1.000 to 1.000",
    ]


@pytest.mark.slow
def test_captions_have_the_four_metrics_of_papers(tmp_path):
    pairs = {f"v{number:02d}": f"a thing number {number} moves" for number in range(12)}
    _, statistics = score_tokenised(*tokenise_pairs({name: [text] for name, text in pairs.items()}, pairs))
    lines = tables([write_experiment(tmp_path, "grid", "captioning", statistics.to_json())], 50).splitlines()
    assert lines[0].startswith("Test split: 12 of 13 videos captioned;")
    assert lines[2].split() == ["BLEU-4", "METEOR", "ROUGE-L", "CIDEr"]
    assert lines[3].split() == ["grid", "1.000", "1.000", "1.000", "10.000"]


def test_what_to_try_next_are_commands_with_the_overlays_of_the_run():
    said = next_steps("tsm", "recognition", [Path("configs/recognition.yaml")])
    assert "python -m pipeline recognize VIDEO --experiment results/experiments/tsm " in said
    assert "python -m pipeline status --configfile configs/recognition.yaml " in said


def test_a_run_that_is_not_finished_is_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("error: results/experiments/grid/settings.json")
