"""Choose the module that reads the labels of a data set, by the kind of the data set.

Like `readers`, this module belongs to no digest of a stage's code, and the module that it chooses does.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.config import DatasetSettings
from pipeline.datasets import sync_mnist_labels
from pipeline.datasets.labelled import FoundLabels, find_labels
from pipeline.datasets.readers import why_unlabelled
from pipeline.datasets.shapes import labels as shapes_labels
from pipeline.errors import PipelineError


def read_labels(settings: DatasetSettings, made: Sequence[Path] = (), truths: Sequence[Path] = ()) -> FoundLabels:
    """Read the labels and splits of a data set.

    Args:
        settings: Settings of the data set.
        made: Lists of the generated clips, one for each shard; empty where the user brings the videos.
        truths: The truth of the generated clips, one for each shard; empty where the labels are in the lists.

    Raises:
        PipelineError: if the data set has no labels, or they cannot be read or do not fit the clips.
    """
    match settings.kind:
        case "shapes":
            generated = shapes_labels.read_labels(settings.actions, made, truths)
            return find_labels(generated, generated.split_of)
        case "sync_mnist":
            generated = sync_mnist_labels.read_labels(made)
            return find_labels(generated, generated.split_of)
    raise PipelineError(why_unlabelled(settings.model_dump(mode="json")))
