"""The clips of a split that a recognizer learns from, or is validated on."""

from collections.abc import Collection

from pipeline.errors import PipelineError
from pipeline.recognition.few_shot import few_shot
from pipeline.recognition.labelled_clips import LabelledClips
from pipeline.recognition.labels import Labels
from pipeline.recognition.parts import Part, clips_of_part, labels_of_part, require_two_classes


def training_clips(
    labels: Labels, known: Collection[str], per_class: int | None, flip: str, seed: int, part: Part | None = None
) -> LabelledClips:
    """Gather the training clips that can be read.

    Args:
        labels: The labels of the data set.
        known: Ids of the clips that can be read.
        per_class: Number of clips of each class of the first head that are kept; None for all.
        flip: `flip` of the settings of the augmentation.
        seed: Seed of what is kept.
        part: The part of TSTL that learns from them; None for the whole.

    Raises:
        PipelineError: if there are no clips, or all are of one class; or if clips shall be mirrored, and a class has no
            partner.
    """
    there = labelled_clips(labels, "train", known)
    ids, numbers = there.ids, there.labels
    if per_class is not None:
        classes = {clip_id: labels.index.labels[clip_id][0] for clip_id in ids}
        ids = few_shot(classes, ids, per_class, seed)
        numbers = [labels.index.labels[clip_id] for clip_id in ids]
    clips = clips_of_part(LabelledClips(ids, numbers, swaps(labels, flip)), part)
    require_two_classes(clips, labels_of_part(labels, part).heads, labels.path)
    return clips


def validation_clips(labels: Labels, known: Collection[str], part: Part | None = None) -> LabelledClips:
    """Gather the validation clips that can be read, of a part where one is given; PipelineError if there are none."""
    clips = clips_of_part(labelled_clips(labels, "val", known), part)
    if not clips.ids and part is not None:
        raise PipelineError(
            f"{labels.path}: no clip of split 'val' is of group {part.group}, and its expert is chosen by some: make "
            "fewer or other groups, or a larger validation split"
        )
    return clips


def labelled_clips(labels: Labels, split: str, known: Collection[str]) -> LabelledClips:
    """Gather the clips of a split that have labels and can be read; PipelineError if there are none."""
    ids = [clip_id for clip_id in labels.split(split) if clip_id in known]
    if not ids:
        raise PipelineError(
            f"{labels.path}: none of the {len(labels.split(split))} clips of split '{split}' has both a label "
            "and frames, and training needs some; check the splits and the clips that failed"
        )
    return LabelledClips(ids, [labels.index.labels[clip_id] for clip_id in ids])


def swaps(labels: Labels, flip: str) -> list[list[int]] | None:
    """For each head the class of every class's mirrored clips; None unless `flip` is `swap_labels`.

    Raises:
        PipelineError: if clips of a head must not be mirrored.
    """
    if flip != "swap_labels":
        return None
    found = []
    for head in labels.heads:
        partners = labels.index.flips.get(head)
        if partners is None:
            raise PipelineError(
                f"augmentation: flip: swap_labels: {labels.path} does not say what classes of {head} become (one with "
                "left or right has no mirrored partner, or they have no names, or are digits): write flip: none"
            )
        found.append(partners)
    return found
