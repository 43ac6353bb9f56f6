import numpy as np
import pytest
import torch

from pipeline.config import ClipAugmentationSettings
from pipeline.recognition.augmentation import (
    Crop,
    augment,
    brighten,
    multi_scale,
    random_resized,
    random_square,
    resize,
)
from pipeline.recognition.rand_augment import rand_augment


def settings(**others):
    usual = {"size": 4, "crop": "whole", "flip": "none", "brightness": 0.0, "rand_augment": None, "mixup": None}
    return ClipAugmentationSettings.model_validate(usual | others)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_multi_scale_crops_are_those_of_the_paper():
    """Of 256 x 341: sides of 256, 224, 192 and 168 (by .66), neighbours of the list, at 13 places."""
    draw = rng()
    crops = {multi_scale(256, 341, 224, draw) for _ in range(5000)}
    sizes = {(crop.height, crop.width) for crop in crops}
    sides = [256, 224, 192, 168]
    assert sizes == {(a, b) for i, a in enumerate(sides) for j, b in enumerate(sides) if abs(i - j) <= 1}
    down, across = (256 - 192) // 4, (341 - 168) // 4
    places = {(crop.top, crop.left) for crop in crops if (crop.height, crop.width) == (192, 168)}
    corners = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (2, 0), (2, 4), (0, 2), (4, 2), (1, 1), (1, 3), (3, 1), (3, 3)]
    assert places == {(down * i, across * j) for i, j in corners}


def test_a_side_that_is_nearly_the_size_is_the_size():
    draw = rng()
    assert {multi_scale(256, 256, 225, draw).height for _ in range(200)} == {256, 225, 192, 168}
    assert {multi_scale(222, 300, 224, draw).height for _ in range(200)} == {222, 194, 166, 146}  # no crop is too large


def test_random_crops_stay_inside():
    draw = rng()
    for make in (lambda: random_resized(20, 31, draw), lambda: random_square(20, 31, 12, draw)):
        crops = [make() for _ in range(500)]
        assert all(c.top + c.height <= 20 and c.left + c.width <= 31 and min(c) >= 0 for c in crops)
        assert len(set(crops)) > 50
    assert random_square(3, 5, 12, draw).height == 3
    assert random_resized(1, 400, draw) == Crop(0, 199, 1, 1)  # no drawn rectangle fits


def test_all_frames_of_a_clip_are_altered_alike():
    clip = np.tile(rng().integers(0, 256, (1, 9, 12, 3), dtype=np.uint8), (3, 1, 1, 1))
    found = augment(clip, settings(crop="random_resized", flip="keep_labels", brightness=0.5), rng(3)).pixels
    assert found.shape == (3, 3, 4, 4)
    assert found.dtype == torch.uint8
    assert (found == found[:1]).all()


def test_mirrors_and_brightness_by_hand():
    clip = np.arange(8, dtype=np.uint8).reshape(1, 2, 4, 1) * 30
    seen = {augment(clip, settings(size=4, flip="swap_labels"), rng(seed)).is_mirrored for seed in range(9)}
    assert seen == {True, False}
    square = clip[:, :, :2]
    mirrored = next(
        one.pixels
        for one in (augment(square, settings(size=2, flip="keep_labels"), rng(seed)) for seed in range(9))
        if one.is_mirrored
    )
    assert mirrored.tolist() == [[[[30, 0], [150, 120]]]]
    assert brighten(torch.tensor([0, 100, 250], dtype=torch.uint8), 0.1).tolist() == [26, 126, 255]
    assert brighten(torch.tensor([0, 100, 250], dtype=torch.uint8), -0.1).tolist() == [0, 74, 224]


def test_a_clip_that_fits_is_not_copied():
    clip = rng().integers(0, 256, (10, 64, 64, 1), dtype=np.uint8)
    found = augment(clip, settings(size=64), rng()).pixels
    assert found.data_ptr() == clip.ctypes.data
    assert found[:, 0].tolist() == clip[..., 0].tolist()


def test_resizing_takes_means_of_areas():
    assert resize(np.array([0, 40, 80, 120], np.uint8).reshape(1, 1, 4, 1), 1, 2).ravel().tolist() == [
        pytest.approx(26, abs=3),
        pytest.approx(94, abs=3),
    ]


def test_rand_augment_sees_the_whole_frames_before_they_are_cropped():
    clip = np.repeat(rng().integers(0, 256, (1, 8, 10, 3), dtype=np.uint8), 3, 0)
    often = {"operations": 9, "magnitude": 9, "deviation": 0.5, "interpolation": "random"}
    given = settings(size=8, crop="random", rand_augment=often)
    found = augment(clip, given, rng(5)).pixels
    draws = rng(5)
    whole = rand_augment(torch.from_numpy(clip).permute(0, 3, 1, 2), given.rand_augment, draws)
    crop = random_square(8, 10, 8, draws)
    assert torch.equal(found, whole[:, :, :, crop.left : crop.left + 8])
    assert not torch.equal(found, augment(clip, settings(size=8, crop="random"), rng(5)).pixels)
    assert (found == found[:1]).all()
