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
    moved,
    rand_augment,
    solarize,
)

CAST = RandAugmentSettings(operations=4, magnitude=7, deviation=0.5)


def frames(colours=3, height=20, width=30):
    generator = torch.Generator().manual_seed(0)
    frame = torch.randint(20, 220, (1, colours, height, width), dtype=torch.uint8, generator=generator)
    return frame.expand(4, -1, -1, -1).clone()


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_alters_equal_frames_equally(name, colours):
    x = frames(colours)
    kept = x.clone()
    y = apply(name, x, 0.7, 1.0, 20)
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
    assert (apply(name, x, 0.0, 1.0, 20) == x).all()


def test_operations_by_hand():
    x = torch.tensor([0, 100, 127, 128, 250], dtype=torch.uint8)
    assert solarize(x, 128).tolist() == [0, 100, 127, 127, 5]
    assert solarize(x, 256).tolist() == x.tolist()
    assert add_to_dark(x, 60).tolist() == [60, 160, 187, 128, 250]
    assert apply("posterize", x.view(1, 1, 1, 5), 0.5, 1, 1).flatten().tolist() == [0, 64, 64, 128, 192]
    assert apply("posterize", x.view(1, 1, 1, 5), 1.0, 1, 1).flatten().tolist() == [0] * 5
    row = torch.arange(1, 7, dtype=torch.uint8).view(1, 1, 1, 6)
    assert moved(row, across=2).flatten().tolist() == [115, 115, 1, 2, 3, 4]
    assert apply("move_across", row, 1.0, -1.0, 5).flatten().tolist() == [3, 4, 5, 6, 115, 115]  # int(0.45 * 5)
    column = row.transpose(2, 3)
    assert apply("move_down", column, 1.0, 1.0, 5).flatten().tolist() == [115, 115, 1, 2, 3, 4]


def test_shearing_moves_rows_away_from_the_middle():
    """Ten rows below the middle, a third of a pixel a row: three pixels."""
    x = torch.zeros(1, 1, 41, 41, dtype=torch.uint8)
    x[..., 20] = 255
    across = apply("shear_across", x, 1.0, 1.0, 41)[0, 0]
    down = apply("shear_down", x.transpose(2, 3), 1.0, 1.0, 41)[0, 0]
    assert torch.equal(across, down.T)
    assert abs(int(across[30].argmax()) - 20) == 3
    assert abs(int(across[10].argmax()) - 20) == 3
    assert int(across[30].argmax()) + int(across[10].argmax()) == 40


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
        one.strength for one in drawn_operations(RandAugmentSettings(operations=50, magnitude=10, deviation=0.0), rng)
    }
    assert wild == 1.0


def test_a_clip_is_altered_by_its_generator_alone():
    x = frames()
    one, same, other = (rand_augment(x, CAST, 20, np.random.default_rng(seed)) for seed in (3, 3, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert list(drawn_operations(CAST, np.random.default_rng(3))) != [Drawn("invert", 1.0, 1.0)]
