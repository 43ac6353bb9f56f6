"""Choose the module that reads the labels of a data set, by the kind of the data set.

Like `readers`, this module belongs to no digest of a stage's code, and the module that it chooses does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.artifact.video_table import Clip
from pipeline.config import (
    ClipForm,
    DatasetSettings,
    EpicKitchensSettings,
    Hmdb51Settings,
    KineticsSettings,
    LabelledListSettings,
    SomethingSomethingSettings,
    Ucf101Settings,
)
from pipeline.datasets import (
    epic_kitchens,
    folder_labels,
    hmdb51,
    kinetics,
    labelled_list,
    something_something,
    sync_mnist_labels,
    ucf101,
)
from pipeline.datasets.labelled import FoundLabels, Labelling, find_labels
from pipeline.datasets.readers import clip_form, label_files, why_unlabelled
from pipeline.datasets.shapes import labels as shapes_labels
from pipeline.errors import PipelineError


def read_labels(
    settings: DatasetSettings, clips: Mapping[str, Clip], made: Sequence[Path] = (), truths: Sequence[Path] = ()
) -> FoundLabels:
    """Read the labels and splits of a data set.

    Args:
        settings: Settings of the data set.
        clips: All the clips that are there, by id; empty where clips are generated.
        made: Lists of the generated clips, one for each shard; empty where the user brings the videos.
        truths: The truth of the generated clips, one for each shard; empty where the labels are in the lists.

    Raises:
        PipelineError: if the data set has no labels, or they cannot be read or do not fit the clips.
    """
    dataset = settings.model_dump(mode="json")
    if (why := why_unlabelled(dataset)) is not None:
        raise PipelineError(why)
    match settings.kind:
        case "shapes":
            generated = shapes_labels.read_labels(settings.actions, made, truths)
        case "sync_mnist":
            generated = sync_mnist_labels.read_labels(made)
        case "folder":
            return find_labels(folder_labels.read_labels(settings, clips), clips, label_files(dataset))
        case _:
            return find_labels(_brought(settings, clip_form(dataset)), clips, label_files(dataset))
    return find_labels(generated, generated.split_of)


def _brought(settings: DatasetSettings, form: ClipForm) -> Labelling:
    """Read the labels that the user brings."""
    match settings:
        case SomethingSomethingSettings():
            return something_something.read_labels(settings)
        case LabelledListSettings():
            return labelled_list.read_labels(settings, form)
        case Ucf101Settings():
            return ucf101.read_labels(settings)
        case Hmdb51Settings():
            return hmdb51.read_labels(settings)
        case KineticsSettings():
            return kinetics.read_labels(settings)
        case EpicKitchensSettings():
            return epic_kitchens.read_labels(settings)
    raise TypeError(f"no reader of labels of kind {settings.kind}")
