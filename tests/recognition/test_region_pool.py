"""Kernels of grids and of tents, and what they gather and put back."""

import torch

from pipeline.recognition.grids import grid_edges, grid_positions
from pipeline.recognition.region_pool import area_covers, area_kernels, pool, spread, tent_kernels


def test_a_cell_that_ends_within_a_place_has_its_share() -> None:
    kernels = area_kernels(4, 2, scales=3)
    assert kernels.shape == (14, 4, 2)
    # Three rows of 4 / 3 places: the second has two thirds of the second place and two thirds of the third.
    torch.testing.assert_close(kernels[4].sum(1), torch.tensor([0.0, 0.5, 0.5, 0.0]))
    torch.testing.assert_close(kernels[3].sum(0), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(14))


def test_covers_of_a_scale_share_each_place() -> None:
    covers = area_covers(14, 6)
    for scale in (covers[:9], covers[9:13], covers[13:]):
        torch.testing.assert_close(scale.sum(0), torch.ones(14, 6))


def test_a_tent_falls_by_one_a_place() -> None:
    kernel = tent_kernels(torch.tensor([[1.0, 0.5]]), torch.tensor([[2.0, 1.0]]), 4, 2)[0]
    column = torch.tensor([0.25, 0.5, 0.25, 0.0])
    torch.testing.assert_close(kernel, column[:, None] * torch.tensor([0.5, 0.5]))


def test_a_tent_of_one_place_interpolates_bilinearly() -> None:
    kernel = tent_kernels(torch.tensor([[0.25, 1.0]]), torch.tensor([[1.0, 1.0]]), 2, 2)[0]
    torch.testing.assert_close(kernel, torch.tensor([[0.0, 0.75], [0.0, 0.25]]))


def test_nodes_are_gathered_and_put_back_where_they_were() -> None:
    x = torch.arange(8.0).view(1, 1, 2, 2, 2)
    kernels = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.5]]])
    nodes = pool(x, kernels)
    assert nodes.tolist() == [[[[0.0, 4.0], [2.5, 6.5]]]]
    assert spread(nodes, kernels).tolist() == [[[[[0.0, 0.0], [1.25, 1.25]], [[4.0, 0.0], [3.25, 3.25]]]]]


def test_neighbours_overlap_or_share_a_side() -> None:
    edges = grid_edges()
    assert edges.sum(1).tolist() == [4, 6, 4, 6, 9, 6, 4, 6, 4, 7, 7, 7, 7, 13]
    assert int(edges.sum()) == 2 * 45
    assert torch.equal(edges, edges.T)
    assert edges[0, 4] == 0  # they touch in a corner
    assert edges[0, 12] == 0  # they touch nowhere
    assert edges[4, 12] == 1  # they overlap


def test_positions_are_gaussians_in_their_cells() -> None:
    finest, _, whole = (grid_positions()[number].view(6, 6) for number in (4, 9, 13))
    torch.testing.assert_close(finest[2:4, 2:4], torch.full((2, 2), 0.9394), atol=1e-4, rtol=0)
    assert finest.count_nonzero() == 4
    assert round(float(whole[0, 0]), 4) == 0.2096
    assert round(float(whole[2, 2]), 4) == 0.9394
