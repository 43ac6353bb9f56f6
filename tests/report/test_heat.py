"""Relevance in pixels: where it is, how hot, and between steps."""

import numpy as np
import pytest

from pipeline.report.heat import STRONGEST, Heat, Regions, heat_of, lay_over

HALVES = np.array([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]])


def test_cells_of_a_grid_run_into_each_other_within_the_part_that_is_seen():
    boxes = np.array([[0.25, 0.5, 0.5, 1.0], [0.5, 0.5, 0.75, 1.0]])
    regions = Regions(np.array([0.5, 0.5]), boxes, (1, 1, 2))
    heat = heat_of(np.array([2.0, 4.0]), regions, (4, 8)).heat_SYX[0]
    assert heat[:2].max() == heat[:, :2].max() == heat[:, 6:].max() == 0
    # Cells are 2 pixels wide: halfway between their centres, a quarter and three quarters of the way from 0.5 to 1.
    assert heat[2, 2:6] == pytest.approx([0.5, 0.625, 0.875, 1.0])


def test_boxes_are_drawn_at_their_times_and_the_hottest_is_on_top():
    boxes = np.array([[0.0, 0.0, 1.0, 1.0], [0.5, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    regions = Regions(np.array([0.0, 0.0, 1.0]), boxes, (0, 0, 0))
    heat = heat_of(np.array([1.0, 4.0, -3.0]), regions, (2, 4))
    assert heat.time_S.tolist() == [0.0, 1.0]
    assert heat.heat_SYX[0].tolist() == [[0.25, 0.25, 1.0, 1.0]] * 2
    assert heat.heat_SYX[1].max() == 0


def test_between_steps_heat_is_mixed_and_beyond_them_it_stays():
    heat = Heat(np.array([1.0, 2.0]), np.array([[[0.0]], [[1.0]]]))
    assert [float(heat.at(seconds)[0, 0]) for seconds in (0.0, 1.0, 1.25, 2.0, 9.0)] == [0, 0, 0.25, 1, 1]


def test_steps_that_go_back_in_time_are_drawn_in_the_order_of_their_times():
    """As of a last window that overlaps the one before: the steps are at 0, 2, 1 and 2 seconds."""
    boxes = np.tile([[0.0, 0.0, 1.0, 1.0]], (4, 1))
    heat = heat_of(np.array([4.0, 1.0, 3.0, 2.0]), Regions(np.array([0.0, 2.0, 1.0, 2.0]), boxes, (4, 1, 1)), (1, 1))
    found = [float(heat.at(seconds)[0, 0]) for seconds in (0.0, 0.5, 1.0, 1.5, 2.0, 9.0)]
    assert found == pytest.approx([1.0, 0.875, 0.75, 0.625, 0.5, 0.5])


def test_steps_of_one_time_are_drawn_together_the_hottest_on_top():
    """As of a clip of which one frame was sampled, whose time all steps have."""
    boxes = np.tile(HALVES, (2, 1))
    heat = heat_of(np.array([4.0, 0.0, 1.0, 2.0]), Regions(np.zeros(4), boxes, (2, 1, 2)), (1, 2))
    assert [heat.at(seconds).tolist() for seconds in (0.0, 1.0)] == [[[1.0, 0.5]]] * 2


@pytest.mark.parametrize("relevance", [[0.0, 0.0], [-1.0, -2.0], [0.0, 1e-45], [1e38, 3e38]])
def test_flat_maps_are_flat_and_nothing_overflows(relevance):
    regions = Regions(np.zeros(2), HALVES, (1, 1, 2))
    with np.errstate(all="raise", under="ignore"):
        heat = heat_of(np.array(relevance, np.float32), regions, (4, 4))
    assert np.isfinite(heat.heat_SYX).all()
    assert heat.heat_SYX.max() == pytest.approx(float(max(relevance) > 0))
    frame = np.full((4, 4, 3), 7, np.uint8)
    if max(relevance) <= 0:
        assert (lay_over(frame, heat.at(0.0)) == frame).all()


def test_the_hottest_pixel_is_yellow_over_the_frame():
    white = np.full((1, 1, 3), 255, np.uint8)
    found = lay_over(white, np.ones((1, 1)))[0, 0]
    assert found.tolist() == [255, 255, round(255 * (1 - STRONGEST) + 60 * STRONGEST)]
