import numpy as np
import pytest
import torch

from pipeline.finetuning.average_precision import Boxes, area, average_precision, match


def boxes(*rows: tuple[float, float, float, float, int, float]) -> Boxes:
    """x0, y0, x1, y1, label, score."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Boxes(table[:, :4], table[:, 4].long(), table[:, 5])


def test_area_written_out():
    # Precision 1, 1/2, 2/3 at recalls 1/3, 1/3, 2/3: the last third is never found.
    assert area(np.array([True, False, True]), 3) == pytest.approx((1 + 2 / 3) / 3)
    assert area(np.array([True, True]), 2) == 1
    # Precision at a recall is the best at that recall or more: 2/3 also for the first hit.
    assert area(np.array([False, True, True]), 2) == pytest.approx(2 / 3)
    assert area(np.zeros(0, bool), 4) == 0


def test_half_of_the_union_is_enough_and_a_box_is_found_once():
    true = torch.tensor([[0.0, 0, 10, 10]])
    found = torch.tensor([[0.0, 0, 10, 5], [0, 0, 10, 4], [0, 0, 10, 10]])  # overlaps 1/2, 0.4 and 1
    assert match(found, true).tolist() == [True, False, False]
    assert match(found, torch.zeros(0, 4)).tolist() == [False] * 3
    assert match(torch.zeros(0, 4), true).tolist() == []


def test_a_class_is_measured_over_all_images():
    true = [boxes((0, 0, 4, 4, 1, 1)), boxes((0, 0, 4, 4, 1, 1), (8, 8, 9, 9, 2, 1)), boxes()]
    found = [
        boxes((0, 0, 4, 4, 1, 0.5)),
        boxes((0, 0, 4, 4, 1, 0.9), (8, 8, 9, 9, 1, 0.95)),  # the second is there, but of another class
        boxes((1, 1, 2, 2, 1, 0.7)),
    ]
    # By score: wrong, right, wrong, right: precision 1/2 at recalls 1/2 and 1.
    assert average_precision(found, true, 1) == pytest.approx(0.5)
    assert average_precision(found, true, 2) == 0
    assert average_precision(found, true, 3) is None
