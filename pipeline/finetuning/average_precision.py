"""Average precision of a detector.

This is the measure of the PASCAL VOC challenge since 2010 (Everingham et al. 2015, "The Pascal Visual Object Classes
Challenge: A Retrospective", section 3): the whole area under the curve of precision over recall, where the precision at
a recall is the best at that recall or more. A detection is right if its intersection with a box of its class in its
image is at least half of their union, and no surer detection has found that box.

Shapes: N detections, M true boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

OVERLAP = 0.5  # least intersection over union of a right detection


@dataclass(frozen=True)
class Boxes:
    """Boxes of one image: true ones, or found ones with their scores.

    Attributes:
        box_N4: Boxes as x0, y0, x1, y1 in pixels.
        label_N: Class of each box.
        score_N: Confidence of each detection; the scores of true boxes are not read.
    """

    box_N4: Tensor
    label_N: Tensor
    score_N: Tensor


def average_precision(found: Sequence[Boxes], true: Sequence[Boxes], label: int) -> float | None:
    """Average precision of one class over all images.

    Args:
        found: Detections of each image.
        true: True boxes of each image, in the same order.
        label: The class.

    Returns:
        The average precision in [0, 1]; None if no image shows the class.
    """
    scores, right = [torch.zeros(0)], [torch.zeros(0, dtype=torch.bool)]
    num_true = 0
    for found_here, true_here in zip(found, true, strict=True):
        box_M4 = true_here.box_N4[true_here.label_N == label]
        is_label_N = found_here.label_N == label
        order_N = torch.argsort(found_here.score_N[is_label_N], descending=True, stable=True)
        scores.append(found_here.score_N[is_label_N][order_N].float())
        right.append(match(found_here.box_N4[is_label_N][order_N], box_M4))
        num_true += len(box_M4)
    if num_true == 0:
        return None
    order = torch.argsort(torch.cat(scores), descending=True, stable=True)
    return area(torch.cat(right)[order].numpy(), num_true)


def match(found_N4: Tensor, true_M4: Tensor) -> Tensor:
    """Decide which detections of an image are right; each can only find the true box that it overlaps most.

    Args:
        found_N4: Detections of one class, the surest first.
        true_M4: True boxes of that class.

    Returns:
        True for the detections that are right, bool [N].
    """
    right_N = torch.zeros(len(found_N4), dtype=torch.bool)
    if len(true_M4) == 0:
        return right_N
    taken: set[int] = set()
    for row, overlap_M in enumerate(box_iou(found_N4, true_M4)):
        best = int(overlap_M.argmax())
        if overlap_M[best] >= OVERLAP and best not in taken:
            taken.add(best)
            right_N[row] = True
    return right_N


def area(right_N: NDArray[np.bool_], num_true: int) -> float:
    """Area under the curve of precision over recall.

    Args:
        right_N: Whether each detection is right, the surest first.
        num_true: Number of true boxes to find.
    """
    hits_N = np.cumsum(right_N)
    precision_N = hits_N / np.arange(1, len(right_N) + 1)
    best_N = np.maximum.accumulate(precision_N[::-1])[::-1]  # the best at this recall or more
    return float((best_N * right_N).sum() / num_true)
