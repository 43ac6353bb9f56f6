"""How near regions are to objects, by the metrics of both papers on DyReg.

The NeurIPS paper (Duta et al., 2021) gives a normalised L2 distance, whose formula is not published; the workshop paper
(arXiv 2009.08427v1) gives precision and recall by intersection over union, and their harmonic mean.

Shapes: V clips, R resamples, M metrics, N regions, K objects. Boxes are (left, top, right, bottom), shares of a frame;
regions may reach beyond it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]

OF_CLIP = ("distance", "precision", "recall")
METRICS = (*OF_CLIP, "harmonic")


@dataclass(frozen=True)
class Nearness:
    """The nearness of regions to objects in some clips.

    Attributes:
        ids: The ids of the clips.
        rows_V3: For each clip the numbers that `OF_CLIP` names.
    """

    ids: tuple[str, ...]
    rows_V3: Rows

    def of(self, ids: tuple[str, ...]) -> "Nearness":
        """Return those of some of the clips, in the order of `ids`."""
        if ids == self.ids:
            return self
        places = {clip_id: row for row, clip_id in enumerate(self.ids)}
        return Nearness(ids, self.rows_V3[[places[clip_id] for clip_id in ids]])

    def scores(self) -> dict[str, float]:
        """Compute the metrics of all the clips together: means over clips, and `harmonic` of the last two means."""
        scores = self.scores_of_draws(np.ones((1, len(self.ids)), np.int64))[0]
        return dict(zip(METRICS, scores.tolist(), strict=True))

    def scores_of_draws(self, times_RV: NDArray[np.int64]) -> Rows:
        """Compute the metrics of resamples `[R, 4]`, each of which says how often it drew each clip."""
        means_R3 = times_RV @ self.rows_V3 / len(self.ids)
        precision, recall = means_R3[:, 1], means_R3[:, 2]
        both = precision + recall
        harmonic = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
        return np.column_stack([means_R3, harmonic])

    def to_json(self) -> dict[str, list[float]]:
        """For each clip the numbers that `OF_CLIP` names, rounded to six places."""
        return dict(zip(self.ids, self.rows_V3.round(6).tolist(), strict=True))


def nearness_from_json(content: Mapping[str, Sequence[float]]) -> Nearness:
    """Read the JSON object that `Nearness.to_json` made; clips come in alphabetical order."""
    ids = tuple(sorted(content))
    return Nearness(ids, np.array([content[i] for i in ids], np.float64).reshape(len(ids), len(OF_CLIP)))


def clip_nearness(regions: Sequence[Rows], objects: Sequence[Rows]) -> Rows | None:
    """The numbers of a clip that `OF_CLIP` names: means over the frames that have both regions and objects.

    Args:
        regions: Boxes of each frame, `[N, 4]`.
        objects: Boxes of the same frames, `[K, 4]`.

    Returns:
        `[3]`; None if no frame has both.
    """
    frames = [
        (distance(own_N4, of_K4), *precision_and_recall(own_N4, of_K4))
        for own_N4, of_K4 in zip(regions, objects, strict=True)
        if len(own_N4) and len(of_K4)
    ]
    return np.array(frames).mean(0) if frames else None


def distance(regions_N4: Rows, objects_K4: Rows) -> float:
    """The normalised L2 distance of the regions of a frame to its objects: 0 where both have the same centres.

    It is the mean of two means: over regions, of the distance from a region's centre to the nearest centre of an
    object; and over objects, of the distance from an object's centre to the nearest centre of a region. A step across
    the frame counts 1 in each direction, and distances are divided by the diagonal, so that 1 is from corner to corner.
    """
    between_NK = np.linalg.norm(_centres(regions_N4)[:, None] - _centres(objects_K4), axis=2) / np.sqrt(2)
    return float(between_NK.min(1).mean() + between_NK.min(0).mean()) / 2


def precision_and_recall(regions_N4: Rows, objects_K4: Rows) -> tuple[float, float]:
    """Precision and recall of the regions of a frame.

    Precision is the mean over regions of the largest intersection over union with any object; recall is the mean over
    objects of the largest one with any region. Regions are cut at the frame.
    """
    overlap_NK = overlaps(regions_N4.clip(0, 1), objects_K4)
    return float(overlap_NK.max(1).mean()), float(overlap_NK.max(0).mean())


def overlaps(one_N4: Rows, other_K4: Rows) -> Rows:
    """Intersection over union of each of some boxes with each of others, `[N, K]`; 0 for boxes without an area."""
    first = np.maximum(one_N4[:, None, :2], other_K4[None, :, :2])
    last = np.minimum(one_N4[:, None, 2:], other_K4[None, :, 2:])
    inside = (last - first).clip(min=0).prod(2)
    union = _areas(one_N4)[:, None] + _areas(other_K4) - inside
    shares: Rows = np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
    return shares


def _centres(boxes: Rows) -> Rows:
    centres: Rows = (boxes[:, :2] + boxes[:, 2:]) / 2
    return centres


def _areas(boxes: Rows) -> Rows:
    areas: Rows = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return areas
