import pytest

from pipeline.workflow.paths import ARTIFACTS, identify
from pipeline.workflow.trials import experiment_of, seed_of, trials_of


def test_the_first_seed_has_the_name_of_the_experiment():
    assert trials_of("grid", [3]) == ["grid"]
    assert trials_of("grid", [3, 1, 0]) == ["grid", "grid/seeds/1", "grid/seeds/0"]


def test_a_trial_tells_its_experiment_and_its_seed():
    seeds = [3, 1, 0]
    trials = trials_of("my-grid_2", seeds)
    assert {experiment_of(trial) for trial in trials} == {"my-grid_2"}
    assert [seed_of(trial, seeds) for trial in trials] == seeds


def test_a_seed_that_an_experiment_has_not_is_an_error():
    with pytest.raises(ValueError, match="grid/seeds/3"):
        seed_of("grid/seeds/3", [3, 1])  # the first seed's trial is `grid`
    with pytest.raises(ValueError, match="grid/seeds/9"):
        seed_of("grid/seeds/9", [3, 1])


def test_adding_a_seed_renames_nothing():
    assert trials_of("grid", [1, 2, 3])[:2] == trials_of("grid", [1, 2])


def test_paths_tell_the_trial():
    for trial in trials_of("grid", [1, 2]):
        path = ARTIFACTS["scores"].format(trial=trial, split="test")
        assert identify(path) == ("scores", {"trial": trial, "split": "test"})
    assert path == "results/experiments/grid/seeds/2/test/scores.json"
