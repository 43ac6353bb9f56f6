"""Sort the artifacts that the report describes by the kinds that their paths name, and read those of experiments."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.artifact import read_json
from pipeline.errors import PipelineError
from pipeline.workflow.paths import ARTIFACTS, SPLITS, Located, locate
from pipeline.workflow.trials import experiment_of

ByKind = Mapping[str, Sequence[Located]]


def sort_by_kind(paths: Iterable[Path]) -> dict[str, list[Located]]:
    """Sort artifacts by the kinds that their paths name.

    Args:
        paths: Paths of artifacts of any kind in any order; a path may occur more than once.

    Returns:
        For every kind of the workflow its artifacts, each once, sorted by path; none for kinds without any.

    Raises:
        PipelineError: A path is that of no artifact.
    """
    found: dict[str, list[Located]] = {kind: [] for kind in ARTIFACTS}
    for path in sorted(set(paths)):
        located = locate(path)
        if located is None:
            raise PipelineError(
                f"--artifacts {path}: no artifact has such a path: expected one such as "
                f"{ARTIFACTS['scores'].format(trial='grid', split='test')} or "
                f"{ARTIFACTS['frames'].format(dataset='shapes', sampling='action', shard='000')}"
            )
        found[located.kind].append(located)
    return found


def read_by_experiment(
    files: Iterable[Located], keys: Sequence[str], stage: str, trials: Sequence[str]
) -> dict[str, dict[str, list[Any]]]:
    """Read the JSON files that one stage made of trials and splits.

    Args:
        files: The files, all of one kind.
        keys: Keys that each file must have.
        stage: The stage that makes them, for the message where one is missing or damaged.
        trials: Names of all trials, in the order of the result.

    Returns:
        Experiment to split to the content of each seed's file; splits come in the order of SPLITS.

    Raises:
        ArtifactError: A file is missing or damaged.
    """
    found: dict[str, dict[str, list[Any]]] = {}

    def place(file: Located) -> tuple[int, int]:
        return trials.index(file.names["trial"]), SPLITS.index(file.names["split"])

    for file in sorted(files, key=place):
        splits = found.setdefault(experiment_of(file.names["trial"]), {})
        splits.setdefault(file.names["split"], []).append(read_json(file.path, keys, stage))
    return found


def of_first_seed(found: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[str, dict[str, Any]]:
    """Keep the first seed alone: from what `read_by_experiment` returns to experiment to split to content."""
    return {name: {split: seeds[0] for split, seeds in splits.items()} for name, splits in found.items()}
