"""The grid of regions of several scales: which are neighbours, and where each is.

Source: RSTG (Nicolicioiu et al., 2019, section 3.1).
"""

from fractions import Fraction

import torch
from torch import Tensor

POSITION_CELLS = 6  # cells along a side of the map of a position: the grids of 3, 2 and 1 fit into it
POSITION_SIGMA = 2.0


def grid_sizes(scales: int) -> list[int]:
    """Number of regions of each scale, finest first: 9, 4, 1 for three."""
    return [cells * cells for cells in range(scales, 0, -1)]


def grid_edges(scales: int = 3) -> Tensor:
    """Which regions are neighbours, `[N, N]` of 0 and 1: they overlap, or share a part of a side.

    Regions that touch in a corner alone are none, and no region is its own.
    """
    regions = [
        (Fraction(row, cells), Fraction(row + 1, cells), Fraction(column, cells), Fraction(column + 1, cells))
        for cells in range(scales, 0, -1)
        for row in range(cells)
        for column in range(cells)
    ]
    edges = torch.zeros(len(regions), len(regions))
    for i, (top, bottom, left, right) in enumerate(regions):
        for j, (other_top, other_bottom, other_left, other_right) in enumerate(regions):
            high = min(bottom, other_bottom) - max(top, other_top)
            wide = min(right, other_right) - max(left, other_left)
            edges[i, j] = i != j and min(high, wide) >= 0 and max(high, wide) > 0
    return edges


def grid_boxes(scales: int = 3) -> Tensor:
    """Where each region is, as shares of the frame (left, top, right, bottom), `[N, 4]`."""
    boxes = [
        (column / cells, row / cells, (column + 1) / cells, (row + 1) / cells)
        for cells in range(scales, 0, -1)
        for row in range(cells)
        for column in range(cells)
    ]
    return torch.tensor(boxes)


def grid_positions(scales: int = 3) -> Tensor:
    """Where each region is, `[N, 36]`: a map of 6 x 6 cells, zero outside the region and a Gaussian around its centre.

    Args:
        scales: Number of scales, each of which divides 6.
    """
    maps = []
    for cells in range(scales, 0, -1):
        side = POSITION_CELLS // cells
        away = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
        line = torch.exp(-(away**2) / (2 * POSITION_SIGMA**2))
        for row in range(cells):
            for column in range(cells):
                at = torch.zeros(POSITION_CELLS, POSITION_CELLS)
                at[row * side : (row + 1) * side, column * side : (column + 1) * side] = line[:, None] * line
                maps.append(at.flatten())
    return torch.stack(maps)
