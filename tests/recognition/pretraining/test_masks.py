"""Test what is hidden of a clip, and what has to be told of it, with answers by hand."""

import numpy as np
import torch

from pipeline.recognition.batches import generator_of
from pipeline.recognition.pretraining.masks import TubeletSize, cut, draw_tubes, hidden_places, join, take, targets


def test_the_same_places_are_hidden_in_all_steps():
    mask = draw_tubes(3, 10, 0.75, np.random.default_rng(1))

    first = mask.hidden[:7]
    assert mask.hidden.tolist() == [*first.tolist(), *(first + 10).tolist(), *(first + 20).tolist()]
    assert sorted([*mask.visible.tolist(), *mask.hidden.tolist()]) == list(range(30))
    assert mask.visible.tolist() == sorted(mask.visible.tolist())


def test_nine_tenths_of_videomae_s_places():
    """Of 14 x 14 places 176 are hidden and 20 seen: 160 of 1568 tokens."""
    assert hidden_places(196, 0.9) == 176
    mask = draw_tubes(8, 196, 0.9, np.random.default_rng(1))
    assert (len(mask.visible), len(mask.hidden)) == (160, 1408)


def test_the_mask_follows_from_seed_epoch_and_clip():
    def mask(*key):
        return draw_tubes(2, 50, 0.5, generator_of(*key)).hidden.tolist()

    assert mask(1, 0, "a") == mask(1, 0, "a")
    others = [mask(2, 0, "a"), mask(1, 1, "a"), mask(1, 0, "b")]
    assert mask(1, 0, "a") not in others


def test_tubelets_are_cut_in_the_order_of_time_rows_and_columns():
    x = torch.zeros(1, 4, 3, 4, 4, dtype=torch.uint8)
    x[0, 3, 1, 2, 1] = 255  # frame 3, green, row 2, column 1

    pixels = cut(x, TubeletSize(2, 2))

    assert pixels.shape == (1, 8, 8, 3)
    # Step 1, row 1 and column 0 of the grid; within the tubelet frame 1, row 0, column 1.
    assert pixels.nonzero().tolist() == [[0, 1 * 4 + 1 * 2 + 0, 1 * 4 + 0 * 2 + 1, 1]]


def test_what_is_cut_is_joined_again():
    x = torch.randint(0, 256, (2, 4, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    size = TubeletSize(2, 3)
    assert torch.equal(join(cut(x, size), size, steps=2, rows=2), x)
    assert join(torch.full((1, 1, 1, 3), 1.5), TubeletSize(1, 1), 1, 1).unique().item() == 255


def test_each_colour_of_a_tubelet_is_normalised_by_its_own_deviation():
    """Of 0, 1 and 2 the mean is 1 and the unbiased deviation 1; a plain colour becomes 0."""
    pixels = torch.tensor([[[[0.0, 0.5, 0.0], [1.0, 0.5, 2.0], [2.0, 0.5, 4.0]]]])

    found = targets(pixels, "normalised")

    expected = torch.tensor([[[[-1.0, 0.0, -1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]]])
    torch.testing.assert_close(found.wanted, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.wanted * found.deviation + found.mean, pixels)


def test_plain_pixels_are_told_as_the_encoder_sees_them():
    """Red of 0.485 is 0, and of 0.714 it is 1: ImageNet's mean and deviation."""
    pixels = torch.tensor([[[[0.485, 0.456, 0.406], [0.714, 0.456, 0.406]]]])
    found = targets(pixels, "pixels")
    expected = torch.tensor([[[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]]])
    torch.testing.assert_close(found.wanted, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.wanted * found.deviation + found.mean, pixels)


def test_rows_are_taken_clip_by_clip():
    x = torch.arange(8).reshape(2, 4, 1)
    assert take(x, torch.tensor([[0, 3], [1, 2]])).flatten().tolist() == [0, 3, 5, 6]
