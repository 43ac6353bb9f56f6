"""Groups of classes: one after another, as a file lists them, or by what a recognizer confuses.

Shapes: C classes, G groups, V views of a clip.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.recognition.views import merge

Numbers = NDArray[np.float64]
Listed = list[list[int]]  # the numbers of the classes of each group

STARTS = 20  # divisions from which `confused` looks for a better one
LEAST_GAIN = 1e-12  # a smaller gain is one of rounding


def consecutive(num_classes: int, number: int) -> Listed:
    """Divide classes in their order into groups that differ by at most one class; the first groups are the larger."""
    return [part.tolist() for part in np.array_split(np.arange(num_classes), number)]


def listed(content: Any, names: Sequence[str]) -> Listed:
    """Find the classes of groups that a file lists.

    Args:
        content: The JSON of the file: a list with a list for each group. What stands there is the name of a class, or
            a number: the place of a class in the alphabetical order of all names, from 0.
        names: Names of the classes, in the order of their numbers.

    Raises:
        ValueError: if it lists something else, or no class of this name or place.
    """
    if not isinstance(content, list) or not all(isinstance(group, list) for group in content):
        raise ValueError("expected a list of groups, each a list of names of classes")
    number_of = {name: number for number, name in enumerate(names)}
    in_order = sorted(names)

    def class_of(told: Any) -> int:
        if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < len(names):
            return number_of[in_order[told]]
        if isinstance(told, str) and told in number_of:
            return number_of[told]
        raise ValueError(f"{told!r} is none of the {len(names)} classes, nor a place among them from 0")

    return [[class_of(told) for told in group] for group in content]


def confused(confusion_CC: Numbers, number: int) -> Listed:
    """Divide classes into groups of equal sizes so that much of what is confused is confused inside groups.

    From several divisions, two classes of different groups change places for as long as this gains the most
    (Kernighan and Lin 1970, for many groups); the best end is kept. Sizes differ by at most one, because an expert of
    one class has nothing to learn, and one of nearly all classes is no expert.

    Args:
        confusion_CC: How much each class is taken for each other one; both directions are added up.
        number: Number of groups G.
    """
    between_CC = confusion_CC + confusion_CC.T
    np.fill_diagonal(between_CC, 0.0)
    sizes = [len(group) for group in consecutive(len(between_CC), number)]
    start_C = np.repeat(np.arange(number), sizes)
    rng = np.random.default_rng(0)
    ends = [_swapped(between_CC, start_C, number)]
    ends += [_swapped(between_CC, rng.permutation(start_C), number) for _ in range(STARTS - 1)]
    best_C = max(ends, key=lambda group_C: _inside(between_CC, group_C))
    found: dict[int, list[int]] = {}
    for class_number, group in enumerate(best_C.tolist()):
        found.setdefault(group, []).append(class_number)
    return list(found.values())


def _inside(between_CC: Numbers, group_C: NDArray[np.int64]) -> float:
    return float(between_CC[group_C[:, None] == group_C[None]].sum())


def _swapped(between_CC: Numbers, start_C: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Exchange classes of different groups while the best exchange gains something."""
    group_C = start_C.copy()
    while True:
        to_group_CG = between_CC @ np.eye(number)[group_C]
        own_C = to_group_CG[np.arange(len(group_C)), group_C]
        moved_CC = to_group_CG[:, group_C] - own_C[:, None]  # what class i gains in the group of class j
        gain_CC = moved_CC + moved_CC.T - 2 * between_CC
        gain_CC[group_C[:, None] == group_C[None]] = 0.0
        one, other = np.unravel_index(gain_CC.argmax(), gain_CC.shape)
        if gain_CC[one, other] < LEAST_GAIN:
            return group_C
        group_C[[one, other]] = group_C[[other, one]]


def confusion_of(clips: Iterable[tuple[int, NDArray[np.floating]]], num_classes: int) -> Numbers:
    """How much each class is taken for each other one: the mean probabilities that its clips are given `[C, C]`.

    Args:
        clips: Class and logits `[V, C]` of each clip.
        num_classes: Number of classes C. The row of a class without clips is 0.
    """
    sum_CC, num_C = np.zeros((num_classes, num_classes)), np.zeros(num_classes)
    for label, logits_VC in clips:
        sum_CC[label] += merge(logits_VC, "softmax")
        num_C[label] += 1
    return sum_CC / np.maximum(num_C, 1)[:, None]


def require_division(groups: Listed, names: Sequence[str], where: str) -> None:
    """Raise PipelineError unless each class is in one group, and no group is empty."""
    placed: dict[int, int] = {}
    for number, group in enumerate(groups):
        if not group:
            raise PipelineError(f"{where}: group {number} has no class: leave it out, or name its classes")
        for one in group:
            if one in placed:
                raise PipelineError(
                    f"{where}: class {names[one]!r} is in group {placed[one]} and in group {number}: each class has one"
                )
            placed[one] = number
    lacking = [name for number, name in enumerate(names) if number not in placed]
    if lacking:
        raise PipelineError(
            f"{where}: {len(lacking)} of {len(names)} classes are in no group, such as {lacking[0]!r}: each has one"
        )


def require_clips(groups: Listed, names: Sequence[str], clips: Mapping[int, int], where: str) -> None:
    """Raise PipelineError if an expert would have nothing to learn.

    Args:
        groups: The classes of each group.
        names: Names of the classes.
        clips: Number of training clips of each class.
        where: The place that messages name.
    """
    for number, group in enumerate(groups):
        taught = [one for one in group if clips.get(one, 0)]
        if len(taught) < 2:
            only = f"of one class alone, {names[taught[0]]!r}" if taught else "none at all"
            raise PipelineError(
                f"{where}: group {number} ({names[group[0]]!r} and {len(group) - 1} more) has training clips {only}, "
                "and its expert learns to tell two classes apart: make fewer or other groups, or check the splits"
            )


def group_names(groups: Listed, names: Sequence[str]) -> list[str]:
    """A name for each group: its number and its first classes."""
    found = []
    for number, group in enumerate(groups):
        shown = ", ".join(names[one] for one in group[:2])
        found.append(f"{number}: {shown}" + (f" and {len(group) - 2} more" if len(group) > 2 else ""))
    return found
