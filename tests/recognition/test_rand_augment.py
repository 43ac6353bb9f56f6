import numpy as np
import pytest
import torch

from pipeline.config import RandAugmentSettings
from pipeline.recognition.rand_augment import (
    OPERATIONS,
    Drawn,
    add_to_dark,
    apply,
    drawn_operations,
    mapped,
    rand_augment,
    rotated,
    solarize,
)

CAST = RandAugmentSettings(operations=4, magnitude=7, deviation=0.5, interpolation="bicubic")


def applied(name, x, strength, sign, interpolation="bicubic"):
    return apply(x, Drawn(name, strength, sign, interpolation))


def frames(colours=3, height=20, width=30):
    generator = torch.Generator().manual_seed(0)
    frame = torch.randint(20, 220, (1, colours, height, width), dtype=torch.uint8, generator=generator)
    return frame.expand(4, -1, -1, -1).clone()


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_alters_equal_frames_equally(name, colours):
    x = frames(colours)
    kept = x.clone()
    y = applied(name, x, 0.7, 1.0)
    assert (y.shape, y.dtype) == (x.shape, torch.uint8)
    assert (y == y[:1]).all()
    assert (x == kept).all()
    is_grey_colour = (name, colours) == ("colour", 1)
    assert bool((y != x).any()) is not is_grey_colour


@pytest.mark.parametrize(
    "name", [name for name in OPERATIONS if name not in ("auto_contrast", "equalize", "invert", "posterize")]
)
def test_without_strength_they_alter_nothing(name):
    x = frames()
    assert (applied(name, x, 0.0, 1.0) == x).all()


def test_operations_by_hand():
    x = torch.tensor([0, 100, 127, 128, 250], dtype=torch.uint8)
    assert solarize(x, 128).tolist() == [0, 100, 127, 127, 5]
    assert solarize(x, 256).tolist() == x.tolist()
    assert add_to_dark(x, 60).tolist() == [60, 160, 187, 128, 250]
    assert applied("posterize", x.view(1, 1, 1, 5), 0.5, 1).flatten().tolist() == [0, 64, 64, 128, 192]
    assert applied("posterize", x.view(1, 1, 1, 5), 1.0, 1).flatten().tolist() == [0] * 5


def test_frames_are_moved_by_a_share_of_their_own_size():
    """0.45 of 20 pixels are 9, and of 40 pixels 18, whatever the network sees of them."""
    row = torch.arange(1, 21, dtype=torch.uint8).view(1, 1, 1, 20)
    assert applied("move_across", row, 1.0, 1.0).flatten().tolist() == [*range(10, 21), *[115] * 9]
    assert applied("move_across", row, 1.0, -1.0).flatten().tolist() == [*[115] * 9, *range(1, 12)]
    column = torch.arange(1, 41, dtype=torch.uint8).view(1, 1, 40, 1)
    assert applied("move_down", column, 1.0, 1.0).flatten().tolist() == [*range(19, 41), *[115] * 18]


def test_what_comes_in_from_outside_has_the_mean_colour_of_imagenet():
    x = torch.full((1, 3, 4, 4), 9, dtype=torch.uint8)
    y = mapped(x, "bicubic", across=(1, 0, 2))
    assert y[0, :, 0].tolist() == [[9, 9, 124, 124], [9, 9, 116, 116], [9, 9, 104, 104]]


@pytest.mark.parametrize(
    ("interpolation", "expected"),
    [("bilinear", [40, 40, 80, 120, 120, 115]), ("bicubic", [40, 30, 80, 130, 120, 115])],
)
def test_half_a_pixel_is_interpolated_as_asked(interpolation, expected):
    """Bilinear is the mean of two pixels; Pillow's bicubic weighs four by -1/8, 5/8, 5/8 and -1/8."""
    row = torch.tensor([40, 40, 40, 120, 120, 120], dtype=torch.uint8).view(1, 1, 1, 6)
    assert mapped(row, interpolation, across=(1, 0, 0.5)).flatten().tolist() == expected


def test_shearing_keeps_the_upper_left_corner():
    """The published operations shear from there, and not from the centre: 0.3 of 40 rows are 12 pixels."""
    x = torch.zeros(1, 1, 41, 41, dtype=torch.uint8)
    x[..., 20] = 255
    across = applied("shear_across", x, 1.0, 1.0)[0, 0]
    down = applied("shear_down", x.transpose(2, 3), 1.0, 1.0)[0, 0]
    assert torch.equal(across, down.T)
    assert int(across[0].argmax()) == 20
    assert int(across[40].argmax()) == 8


def test_rotation_is_around_the_centre():
    x = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    x[..., 2, 4] = x[..., 2, 2] = 200
    y = rotated(x, 90.0, "bicubic")[0, 0]
    assert y.nonzero().tolist() == [[0, 2], [2, 2]]


def test_random_interpolation_is_drawn_for_each_operation():
    settings = CAST.model_copy(update={"interpolation": "random", "operations": 400})
    drawn = list(drawn_operations(settings, np.random.default_rng(0)))
    share = sum(one.interpolation == "bilinear" for one in drawn) / len(drawn)
    assert share == pytest.approx(0.5, abs=0.1)
    fixed = [set(), set()]
    for found, name in zip(fixed, ("bilinear", "bicubic"), strict=True):
        only = CAST.model_copy(update={"interpolation": name})
        found |= {one.interpolation for one in drawn_operations(only, np.random.default_rng(0))}
    assert fixed == [{"bilinear"}, {"bicubic"}]


def test_about_half_of_the_operations_are_applied_around_their_magnitude():
    rng = np.random.default_rng(0)
    drawn = [one for _ in range(2000) for one in drawn_operations(CAST, rng)]
    assert len(drawn) == pytest.approx(4000, rel=0.05)
    strengths = np.array([one.strength for one in drawn])
    assert strengths.mean() == pytest.approx(0.7, abs=0.005)
    assert strengths.std() == pytest.approx(0.05, abs=0.005)
    assert {one.name for one in drawn} == set(OPERATIONS)
    assert {one.sign for one in drawn} == {-1.0, 1.0}
    (wild,) = {
        one.strength
        for one in drawn_operations(CAST.model_copy(update={"operations": 50, "magnitude": 10, "deviation": 0.0}), rng)
    }
    assert wild == 1.0


def test_a_clip_is_altered_by_its_generator_alone():
    x = frames()
    one, same, other = (rand_augment(x, CAST, np.random.default_rng(seed)) for seed in (3, 3, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
