import pytest

from pipeline.artifact import write_json
from pipeline.errors import PipelineError
from pipeline.report.score_lines import main, mean_lines, score_lines


def write_scores(results, cider_of_seeds, name="grid"):
    """An experiment, finished for each of these seeds."""
    folder = results / "experiments" / name
    experiment = {"kind": "captioning", "seeds": list(cider_of_seeds)}
    write_json(folder / "settings.json", {"name": name, "experiment": experiment})
    for number, (seed, cider) in enumerate(cider_of_seeds.items()):
        of = folder / f"seeds/{seed}" if number else folder
        metrics = {"Bleu_4": 0.5, "CIDEr": cider}
        write_json(of / "test/scores.json", {"metrics": metrics, "num_covered": 9, "num_videos": 12})
    return folder


def test_one_seed_is_a_figure_a_metric(tmp_path):
    assert score_lines(write_scores(tmp_path, {3: 2.0})).splitlines() == [
        "Test split: 9 of 12 videos captioned",
        "  Bleu_4 0.500",
        "  CIDEr  2.000",
    ]


def test_several_seeds_have_mean_and_spread(tmp_path):
    assert score_lines(write_scores(tmp_path, {3: 2.0, 1: 2.25, 2: 2.5})).splitlines() == [
        "Test split: 9 of 12 videos captioned; mean and standard deviation over 3 seeds",
        "  Bleu_4 0.500 +- 0.000  (0.500, 0.500, 0.500)",
        "  CIDEr  2.250 +- 0.250  (2.000, 2.250, 2.500)",
    ]


def test_without_a_test_split_the_scores_are_those_of_validation(tmp_path):
    folder = write_scores(tmp_path, {3: 2.0})
    (folder / "test").rename(folder / "val")
    assert score_lines(folder).startswith("Validation split: 9 of 12 videos captioned")


def test_scores_of_seeds_that_the_experiment_has_no_more_are_left_out(tmp_path):
    write_scores(tmp_path, {1: 2.0, 2: 9.0})
    assert "9.000" not in score_lines(write_scores(tmp_path, {1: 2.0}))


def test_an_unfinished_experiment_is_an_error_in_a_line(tmp_path):
    with pytest.raises(PipelineError, match=r"settings\.json.*describe_experiment"):
        score_lines(tmp_path / "experiments/grid")


def test_the_mean_over_splits_is_of_the_means_over_seeds(tmp_path, capsys):
    folders = [write_scores(tmp_path, of, f"ucf_{n}") for n, of in enumerate([{1: 1.0, 2: 2.0}, {1: 2.0}, {1: 2.5}], 1)]
    assert mean_lines(folders).splitlines() == [
        "Test split of ucf_1, ucf_2, ucf_3; mean and standard deviation over 3 experiments",
        "  Bleu_4 0.500 +- 0.000  (0.500, 0.500, 0.500)",
        "  CIDEr  2.000 +- 0.500  (1.500, 2.000, 2.500)",
    ]
    main(["--mean", *map(str, folders)])
    assert capsys.readouterr().out == f"{mean_lines(folders)}\n"
    main(list(map(str, folders[:2])))
    assert "ucf_2: Test split: 9 of 12 videos captioned" in capsys.readouterr().out


def test_experiments_that_have_no_mean(tmp_path):
    folders = [write_scores(tmp_path, {1: 1.0}, name) for name in ("a", "b")]
    scores = folders[1] / "test/scores.json"
    write_json(scores, {"metrics": {"top1": 0.5}, "num_covered": 1, "num_videos": 1})
    with pytest.raises(PipelineError, match="a, b: their metrics differ: Bleu_4, CIDEr and top1"):
        mean_lines(folders)
    (folders[1] / "test").rename(folders[1] / "val")
    with pytest.raises(PipelineError, match="a, b: some have scores of a test split and others have not"):
        mean_lines(folders)
