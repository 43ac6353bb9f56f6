"""Accuracy of recognized clips, of any set of them, from a row of numbers for each clip.

A clip has a label of each head, such as verb and noun, and its label has a rank among the classes: 0 is the best one.
A top-k counts the clips whose rank is less than k. The mean class accuracy is the mean of the top-1 of each class that
has clips.

Shapes: V clips, R resamples of them, K heads, C classes of a head, M metrics.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

TOP = (1, 5)
Z = 1.959964  # of the middle 95 % of a normal distribution


@dataclass(frozen=True)
class Hits:
    """The labels of some clips, and their ranks.

    Attributes:
        ids: The ids of the clips.
        heads: Number of classes of each head.
        labels_VK: The clips' labels.
        ranks_VK: The ranks of the labels.
    """

    ids: tuple[str, ...]
    heads: dict[str, int]
    labels_VK: Numbers
    ranks_VK: Numbers

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics: `top1`, `top5` and `mean_class`.

        Those of several heads begin with the head, and `all_top1` is of the clips of which all heads are right.
        """
        own = (*[f"top{k}" for k in TOP], "mean_class")
        if len(self.heads) == 1:
            return own
        return (*[f"{head}_{name}" for head in self.heads for name in own], "all_top1")

    def of(self, ids: tuple[str, ...]) -> "Hits":
        """Return those of some of the clips, in the order of `ids`."""
        if ids == self.ids:
            return self
        places = {clip_id: row for row, clip_id in enumerate(self.ids)}
        rows = [places[clip_id] for clip_id in ids]
        return Hits(ids, self.heads, self.labels_VK[rows], self.ranks_VK[rows])

    def scores(self) -> dict[str, float]:
        """Compute the metrics of all the clips together."""
        scores = self.scores_of_draws(np.ones((1, len(self.ids)), np.int64))[0]
        return dict(zip(self.metrics, scores.tolist(), strict=True))

    def scores_of_draws(self, times_RV: Numbers) -> NDArray[np.float64]:
        """Compute the metrics of resamples `[R, M]`, each of which says how often it drew each clip."""
        num_clips = len(self.ids)
        found = []
        for head, classes in enumerate(self.heads.values()):
            found.append(times_RV @ (self.ranks_VK[:, head, None] < np.array(TOP)) / num_clips)
            is_VC = self.labels_VK[:, head, None] == np.arange(classes)
            of_class_RC = times_RV @ is_VC.astype(np.float64)
            right_RC = times_RV @ (is_VC & (self.ranks_VK[:, head, None] == 0)).astype(np.float64)
            has_RC = of_class_RC > 0
            share_RC = np.divide(right_RC, of_class_RC, out=np.zeros_like(right_RC), where=has_RC)
            found.append(share_RC.sum(1, keepdims=True) / has_RC.sum(1, keepdims=True))
        if len(self.heads) > 1:
            found.append(times_RV @ (self.ranks_VK == 0).all(1)[:, None] / num_clips)
        return np.concatenate(found, 1)

    def to_json(self) -> dict[str, Any]:
        """Make the JSON object that `hits_from_json` reads: for each clip, label and rank of each head."""
        pairs = np.stack([self.labels_VK, self.ranks_VK], 2).reshape(len(self.ids), -1).tolist()
        return {"heads": self.heads, "clips": dict(zip(self.ids, pairs, strict=True))}


def hits_from_json(content: Mapping[str, Any]) -> Hits:
    """Read the JSON object that `Hits.to_json` made; clips come in alphabetical order."""
    ids = tuple(sorted(content["clips"]))
    heads = dict(content["heads"])
    pairs_VK2 = np.array([content["clips"][i] for i in ids], np.int64).reshape(len(ids), len(heads), 2)
    return Hits(ids, heads, pairs_VK2[..., 0], pairs_VK2[..., 1])


def rank_of(scores_C: NDArray[np.floating], label: int) -> int:
    """The rank of a class, from 0: how many are better, and how many as good ones come before it."""
    own = scores_C[label]
    return int((scores_C > own).sum() + (scores_C[:label] == own).sum())


def share_interval(hits: int, number: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's formula (1927), which is right for few clips, too.

    Args:
        hits: How many of them.
        number: How many there are, at least 1.
    """
    share, z2 = hits / number, Z**2 / number
    centre = (share + z2 / 2) / (1 + z2)
    half = Z / (1 + z2) * np.sqrt(share * (1 - share) / number + z2 / number / 4)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
