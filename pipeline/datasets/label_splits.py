"""Cut splits of labelled clips: validation from training, where a benchmark has two parts alone; or all three."""

import hashlib
from collections.abc import Mapping

from pipeline.datasets.labelled import Labelling


def cut_validation(labelling: Labelling, share: float) -> None:
    """Move a share of the training clips to validation, and say so in a note.

    Clips of one group go together. Groups of one class each are cut class by class, so that every class with two groups
    has some in validation; other groups are cut as one. Which they are, hashes decide.

    Args:
        labelling: Labels and splits; those of training change.
        share: Share of the groups, or of the clips where there are none.
    """
    train = [clip for clip, split in labelling.split_of.items() if split == "train" and clip in labelling.labels]
    clips_of: dict[str, list[str]] = {}
    for clip in train:
        clips_of.setdefault(labelling.groups.get(clip, clip), []).append(clip)
    cut = {clip for group in cut_groups(_strata(labelling, clips_of), share) for clip in clips_of[group]}
    labelling.split_of |= dict.fromkeys(cut, "val")
    by = f", by the {len(clips_of)} groups that they come from" if len(clips_of) < len(train) else ""
    labelling.notes.append(f"validation is cut from training: {len(cut)} of {len(train)} clips{by}")


def draw_splits(labelling: Labelling, val: float, test: float) -> None:
    """Put all labelled clips in splits, class by class, so that few clips of a class are in all of them.

    Args:
        labelling: Labels of clips that are in no split; groups stay together.
        val: Share of validation in each class, at least one clip of three if it is not 0.
        test: Share of test, likewise; training gets the rest.
    """
    clips_of: dict[str, list[str]] = {}
    for clip in labelling.labels:
        clips_of.setdefault(labelling.groups.get(clip, clip), []).append(clip)
    strata = _strata(labelling, clips_of)
    split_of = dict.fromkeys(clips_of, "train")
    for split, share, rest in (("test", test, 1.0), ("val", val, 1 - test)):
        left = {group: stratum for group, stratum in strata.items() if split_of[group] == "train"}
        split_of |= dict.fromkeys(cut_groups(left, share / rest) if share else [], split)
    labelling.split_of |= {clip: split_of[group] for group, clips in clips_of.items() for clip in clips}


def _strata(labelling: Labelling, clips_of: Mapping[str, list[str]]) -> dict[str, int]:
    """The class of each group, where each has one; else 0 for all."""
    classes = {group: {tuple(labelling.labels[clip]) for clip in clips} for group, clips in clips_of.items()}
    if len(labelling.heads) > 1 or any(len(of) > 1 for of in classes.values()):
        return dict.fromkeys(clips_of, 0)
    return {group: next(iter(of))[0] for group, of in classes.items()}


def cut_groups(stratum_of: Mapping[str, int], share: float) -> list[str]:
    """Choose a share of the groups of each stratum, at least one where there are two.

    Args:
        stratum_of: Stratum of each group.
        share: Share of each stratum, rounded to whole groups.

    Returns:
        The chosen groups, sorted.
    """
    members: dict[int, list[str]] = {}
    for group, stratum in stratum_of.items():
        members.setdefault(stratum, []).append(group)
    chosen = []
    for groups in members.values():
        number = min(max(round(share * len(groups)), 1), len(groups) - 1)
        chosen += sorted(groups, key=lambda group: (_drawn(group), group))[:number]
    return sorted(chosen)


def _drawn(group: str) -> bytes:
    return hashlib.sha256(f"validation of {group}".encode()).digest()
