"""Nodes from maps and maps from nodes, by kernels that say how much of each cell belongs to a node.

Two providers of kernels: the fixed grid of several scales of RSTG (Nicolicioiu et al., 2019, section 3.1), and the tent
kernels around predicted regions of DyReg (Duta et al., 2021, section 3). Both are applied as matrix products.

Shapes: B clips, T time steps, N nodes, C channels, H height and W width of a map.
"""

import torch
from torch import Tensor

TINY = 1e-37  # keeps a kernel without any weight from being divided by zero


def overlaps(size: int, cells: int) -> Tensor:
    """How much of each place of a line lies in each of equal cells, `[cells, size]`, in places.

    A cell that ends within a place has a part of it: cells are not rounded to whole places.
    """
    ends_S = torch.arange(size + 1, dtype=torch.float64)
    borders_A = torch.arange(cells + 1, dtype=torch.float64) * size / cells
    first = torch.maximum(ends_S[None, :-1], borders_A[:-1, None])
    last = torch.minimum(ends_S[None, 1:], borders_A[1:, None])
    return (last - first).clamp(min=0).float()


def area_kernels(height: int, width: int, scales: int = 3) -> Tensor:
    """Kernels that average the cells of grids over a map, `[N, H, W]`; each sums to 1.

    Args:
        height: H.
        width: W.
        scales: S; the grids are S x S, ..., 2 x 2, 1 x 1.

    Returns:
        The cells of the finest grid first, each grid row by row: N = 14 for three scales.
    """
    covers = area_covers(height, width, scales)
    return covers / covers.sum((1, 2), keepdim=True)


def area_covers(height: int, width: int, scales: int = 3) -> Tensor:
    """The share of each place of a map that a cell covers, `[N, H, W]`: over a grid's cells it sums to 1.

    The transposed kernels: spreading nodes by them gives each place the mean of the cells it lies in, and the sum over
    the scales.
    """
    grids = []
    for cells in range(scales, 0, -1):
        rows, columns = overlaps(height, cells), overlaps(width, cells)
        grids.append(torch.einsum("ay,bx->abyx", rows, columns).flatten(0, 1))
    return torch.cat(grids)


def tent_kernels(centre: Tensor, half: Tensor, height: int, width: int) -> Tensor:
    """Kernels that fall linearly from a centre to zero, in float32, `[.., N, H, W]`; each sums to 1.

    Args:
        centre: Centres (y, x) in places of the map, `[.., N, 2]`.
        half: Distances (y, x) from the centre at which a kernel becomes zero, `[.., N, 2]`.
        height: H.
        width: W.
    """
    lines = []
    for axis, size in enumerate((height, width)):
        place_S = torch.arange(size, dtype=torch.float32, device=centre.device)
        away = (place_S - centre[..., axis, None].float()).abs()
        line = (half[..., axis, None].float() - away).clamp(min=0)
        # Each axis sums to 1, and so does the product of both.
        lines.append(line / (line.sum(-1, keepdim=True) + TINY))
    rows, columns = lines
    return rows[..., :, None] * columns[..., None, :]


def pool(x: Tensor, kernels: Tensor) -> Tensor:
    """Gather the features of each node.

    Args:
        x: Maps, `[B, T, C, H, W]`.
        kernels: `[N, H, W]`, the same for all maps, or `[B, T, N, H, W]`.

    Returns:
        Nodes, `[B, T, N, C]`.
    """
    return kernels.flatten(-2).to(x.dtype) @ x.flatten(-2).transpose(-1, -2)


def spread(nodes: Tensor, kernels: Tensor) -> Tensor:
    """Put the features of nodes back to where their kernels are, and add up where they overlap.

    Args:
        nodes: `[B, T, N, C]`.
        kernels: `[N, H, W]` or `[B, T, N, H, W]`.

    Returns:
        Maps, `[B, T, C, H, W]`.
    """
    flat = nodes.transpose(-1, -2) @ kernels.flatten(-2).to(nodes.dtype)
    return flat.view(*flat.shape[:-1], *kernels.shape[-2:])
