"""Trials: an experiment is trained once for each of its seeds, and all else is shared.

The trial of the first seed has the name of the experiment, `grid`; that of another seed is `grid/seeds/2`. A trial's
name stands in the paths of what is its own: model, curves, captions, scores.
"""

from collections.abc import Sequence

SEEDS = "seeds"


def trials_of(experiment: str, seeds: Sequence[int]) -> list[str]:
    """The names of an experiment's trials, one a seed, in the order of the seeds."""
    return [experiment, *(f"{experiment}/{SEEDS}/{seed}" for seed in seeds[1:])]


def experiment_of(trial: str) -> str:
    """The experiment that a trial belongs to."""
    return trial.partition("/")[0]


def seed_of(trial: str, seeds: Sequence[int]) -> int:
    """The seed of a trial.

    Args:
        trial: Name of the trial.
        seeds: The seeds of its experiment, in their order.

    Raises:
        ValueError: if the experiment has no such trial.
    """
    return seeds[trials_of(experiment_of(trial), seeds).index(trial)]
