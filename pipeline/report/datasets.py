"""Describe the data sets for the report: splits, captions, and which clips the page plays."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.artifact.video_table import Clip, read_clips
from pipeline.workflow.paths import SPLITS, Located
from pipeline.workflow.shown import shown_split, spread


def clips_of(tables: Iterable[Located]) -> dict[str, dict[str, Clip]]:
    """Read the clips of each data set from its video tables; returns data set to video id to clip."""
    clips: dict[str, dict[str, Clip]] = {}
    for located in tables:
        clips.setdefault(located.names["dataset"], {}).update(read_clips(located.path))
    return clips


def predictions_of(
    dataset: str, generated: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Pick the captions of the experiments on one data set, for the split that the page shows.

    Args:
        dataset: Name of the data set.
        generated: Experiment to split to the content of captions.json.
        config: The whole configuration.

    Returns:
        Experiment to video id to caption.
    """
    shown = shown_split(config["datasets"][dataset])
    return {
        experiment: splits[shown]["captions"]
        for experiment, splits in generated.items()
        if shown in splits and config["experiments"][experiment]["dataset"] == dataset
    }


def describe_dataset(
    table: Mapping[str, Any], predictions: Mapping[str, Mapping[str, str]], num_shown: int, split: str = "test"
) -> dict[str, Any]:
    """Make the page's description of a data set.

    Args:
        table: The data set's captions.json.
        predictions: Experiment to video of the split to caption.
        num_shown: Most clips that the page plays.
        split: The split whose clips the page shows.

    Returns:
        `splits` (number of videos in each), `split` (the one that is shown), `ids` (of its videos), `missing` (ids that
        have captions and no file), `shown` (ids of the videos whose clips the page plays), `references` and
        `predictions`.
    """
    ids = table["splits"].get(split, [])
    captioned = [i for i in ids if any(i in captions for captions in predictions.values())]
    return {
        "splits": {split: len(table["splits"].get(split, [])) for split in SPLITS},
        "split": split,
        "ids": ids,
        "missing": table.get("missing", []),
        "shown": spread(captioned, num_shown),
        "references": table["captions"],
        "predictions": predictions,
    }
