"""Several views of one clip, merged into one score for each class."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError

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


def outputs_of(merged_K: Scores, how: Merging) -> Scores:
    """One output for each class, whose softmax is the class's probability.

    Args:
        merged_K: Scores of one head's classes: means of logits, or of probabilities, whose logarithms are the outputs.
        how: Which of the two they are.
    """
    return merged_K if how == "logits" else np.log(np.maximum(merged_K, np.finfo(np.float64).tiny))


def merging_of(text: str) -> Merging:
    """How views are merged, as a flag says it; PipelineError if there is no such way."""
    if text == "logits":
        return "logits"
    if text == "softmax":
        return "softmax"
    raise PipelineError(f"--merge {text}: expected logits or softmax")
