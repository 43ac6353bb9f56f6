"""Several views of one clip, merged into one score for each class."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Merging = Literal["logits", "softmax"]


def softmax(logits: NDArray[np.floating]) -> Scores:
    """Probabilities over the last axis."""
    powers = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)  # type: ignore[no-any-return]


def merge(logits_VK: NDArray[np.floating], how: Merging = "logits") -> Scores:
    """Merge the views of a clip.

    Args:
        logits_VK: Logits of each view for each class, V >= 1.
        how: `logits`: their mean (RSTG, DyReg, TSM). `softmax`: the mean of each view's probabilities (CAST).

    Returns:
        A score for each class, `[K]`; the best class has the highest.
    """
    scores_VK = softmax(logits_VK) if how == "softmax" else logits_VK.astype(np.float64)
    return scores_VK.mean(0)  # type: ignore[no-any-return]
