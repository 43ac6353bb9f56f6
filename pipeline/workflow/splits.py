"""Which splits of a data set experiments are trained and scored on, as far as the configuration tells."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config.experiments import CAPTIONING


def scored_splits(dataset: Mapping[str, Any]) -> list[str]:
    """The splits that experiments are scored on: validation and, unless the settings say that there is none, test.

    There is none where a file or list of each split is named and `test` is null, or where its share is 0.

    Args:
        dataset: Settings of the data set, as JSON gives them.
    """
    named = [dataset[key] for key in ("captions", "splits", "annotations") if isinstance(dataset.get(key), Mapping)]
    return ["val"] if any(not splits.get("test", True) for splits in named) else ["val", "test"]


def needed_splits(config: Mapping[str, Any], name: str, kinds: Sequence[str] = CAPTIONING) -> list[str]:
    """The splits of a data set that must have captioned videos: none if no captioner learns from it.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The data set.
        kinds: Kinds of the experiments; for `recognition` these are the splits that must have labelled clips.
    """
    experiments = config["experiments"].values()
    learns = any(entry["kind"] in kinds and entry["dataset"] == name for entry in experiments)
    return ["train", *scored_splits(config["datasets"][name])] if learns else []


def decoded_as(config: Mapping[str, Any], name: str) -> str:
    """The data set whose video tables and decoded clips a data set has: its own, or those that it shares.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The data set.
    """
    return str(config["datasets"][name].get("decoded_as") or name)
