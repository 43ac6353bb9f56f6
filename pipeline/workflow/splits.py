"""Which splits of a data set experiments are trained and scored on, as far as the configuration tells."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config.experiments import CAPTIONED
from pipeline.workflow.paths import CHALLENGE


def scored_splits(dataset: Mapping[str, Any]) -> list[str]:
    """The splits that experiments are scored on: validation and, unless the settings say that there is none, test.

    There is none where a file or list of each split is named and `test` is null, or where its share is 0.

    Args:
        dataset: Settings of the data set, as JSON gives them.
    """
    named = [dataset[key] for key in ("captions", "splits", "annotations") if isinstance(dataset.get(key), Mapping)]
    return ["val"] if any(not splits.get("test", True) for splits in named) else ["val", "test"]


def recognized_splits(dataset: Mapping[str, Any]) -> list[str]:
    """The splits whose clips may be recognized: all that have labels, and a challenge where the settings name one.

    Args:
        dataset: Settings of the data set, as JSON gives them.
    """
    files = dataset.get("annotations")
    named = isinstance(files, Mapping) and files.get(CHALLENGE)
    return ["train", *scored_splits(dataset), *([CHALLENGE] if named else [])]


def splits_of(config: Mapping[str, Any], experiment: str) -> list[str]:
    """The splits that an experiment is scored on: all of its data set, or those of which another system has captions.

    Args:
        config: The whole configuration, checked, in its JSON form.
        experiment: Name of the experiment.
    """
    entry = config["experiments"][experiment]
    scored = scored_splits(config["datasets"][entry["dataset"]])
    return [split for split in scored if entry["kind"] != "external" or file_of(entry["captions"], split) is not None]


def file_of(named: str | Mapping[str, str | None] | None, split: str) -> str | None:
    """The file of a split that an external experiment names, with the split's name for each `*`; None for none.

    Args:
        named: The setting `captions` or `ids` of the experiment, as JSON gives it.
        split: Name of the split.
    """
    if named is None or isinstance(named, Mapping):
        return (named or {}).get(split)
    return named.replace("*", split)


def needed_splits(config: Mapping[str, Any], name: str, kinds: Sequence[str] = CAPTIONED) -> list[str]:
    """The splits of a data set that must have captioned videos: none if no captioner learns from it or is scored on it.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The data set.
        kinds: Kinds of the experiments; for `recognition` these are the splits that must have labelled clips.
    """
    of_dataset = [
        of for of, entry in config["experiments"].items() if entry["dataset"] == name and entry["kind"] in kinds
    ]
    scored = scored_splits(config["datasets"][name])
    if any(config["experiments"][of]["kind"] != "external" for of in of_dataset):
        return ["train", *scored]
    return [split for split in scored if any(split in splits_of(config, of) for of in of_dataset)]


def decoded_as(config: Mapping[str, Any], name: str) -> str:
    """The data set whose video tables and decoded clips a data set has: its own, or those that it shares.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The data set.
    """
    return str(config["datasets"][name].get("decoded_as") or name)
