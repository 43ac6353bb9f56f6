"""The classes of SyncMNIST, in the order in which the published data sets number them."""

from collections.abc import Collection
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["pair", "subset"]
NO_CLASS = -1


def label_table(kind: Kind = "pair", classes: int = 10) -> NDArray[np.int64]:
    """Number of the class of clips in which two kinds of digits move alike.

    The pairs i > j are numbered row after row, i (i - 1) / 2 + j; behind them comes "none" (`none_label`).

    Args:
        kind: `pair` for SyncMNIST, whose digits all differ (46 classes): the diagonal is -1. `subset` for
            MultiSyncMNIST (56 classes; "Unsupervised learning of dynamic salient regions", 2020): behind "none" come
            the classes in which all that move alike are of one kind, on the diagonal.
        classes: Number K of kinds of digits, 0 to K - 1.

    Returns:
        Symmetric, i8 `[K, K]`; of a subset that moves alike the smallest digit and the largest name the class.
    """
    table = np.full((classes, classes), NO_CLASS, dtype=np.int64)
    high, low = np.tril_indices(classes, -1)
    table[high, low] = table[low, high] = np.arange(len(high))
    if kind == "subset":
        np.fill_diagonal(table, none_label(classes) + 1 + np.arange(classes))
    return table


def none_label(classes: int = 10) -> int:
    """Number of the class of clips in which no digits move alike: 45 for ten kinds of digits."""
    return classes * (classes - 1) // 2


def label_of(together: Collection[int], kind: Kind, classes: int) -> int:
    """Number of a clip's class.

    Args:
        together: The digits that move alike; empty if none do.
        kind: As in `label_table`.
        classes: As in `label_table`.
    """
    return int(label_table(kind, classes)[min(together), max(together)]) if together else none_label(classes)


def class_names(digits: int, kind: Kind, classes: int) -> list[str]:
    """Names of all classes in their order: "0+1" where 0 and 1 move alike, "none"; "7" where a clip has one digit."""
    if digits == 1:
        return [str(digit) for digit in range(classes)]
    pairs = [f"{low}+{high}" for high in range(classes) for low in range(high)]
    return [*pairs, "none", *([f"{digit}+{digit}" for digit in range(classes)] if kind == "subset" else [])]
