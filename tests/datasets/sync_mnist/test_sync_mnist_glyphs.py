import gzip
import json

import numpy as np
import pytest
from toys.sync_mnist import sync_mnist

from pipeline.config import IdxGlyphs
from pipeline.datasets.sync_mnist.drawing import render
from pipeline.datasets.sync_mnist.glyphs import VARIANTS, GlyphBank, glyph_bank
from pipeline.datasets.sync_mnist.tracks import Scene
from pipeline.errors import PipelineError


def idx(*sizes, values):
    return bytes([0, 0, 8, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes) + bytes(values)


@pytest.fixture
def files(tmp_path):
    """Twelve training images, two of each of six digits and all of one grey, and six for tests."""
    paths = {}
    for split, labels in (("train", [0, 1] * 6), ("test", [1, 0] * 3)):
        images = np.repeat(np.arange(len(labels)) + (100 if split == "test" else 0), 784)
        paths[split] = {"images": f"{tmp_path}/{split}-images.gz", "labels": f"{tmp_path}/{split}-labels"}
        (tmp_path / f"{split}-images.gz").write_bytes(gzip.compress(idx(len(labels), 28, 28, values=images.tolist())))
        (tmp_path / f"{split}-labels").write_bytes(idx(len(labels), values=labels))
    return paths


def of_files(files):
    glyphs = IdxGlyphs.model_validate_json(json.dumps(files))
    return sync_mnist(digits=2, classes=2).model_copy(update={"glyphs": glyphs})


def test_drawn_digits_differ_and_no_split_shows_those_of_another():
    bank = glyph_bank(sync_mnist())
    assert (bank.images_N.dtype, bank.images_N.shape) == (np.uint8, (30 * VARIANTS, 28, 28))
    assert len(np.unique(bank.images_N.reshape(len(bank.images_N), -1), axis=0)) == 30 * VARIANTS
    numbers = [number for of_split in bank.of_class.values() for of in of_split for number in of.tolist()]
    assert sorted(numbers) == list(range(30 * VARIANTS))
    border = np.ones((28, 28), bool)
    border[1:-1, 1:-1] = False
    assert (bank.images_N.max((1, 2)) == 255).all()
    assert not bank.images_N[:, border].any()


def test_a_digit_resembles_its_own_kind():
    """The nearest class mean over training digits names nearly all test digits: the ten kinds can be told apart."""
    bank = glyph_bank(sync_mnist())
    means = np.stack([bank.images_N[of].mean(0) for of in bank.of_class["train"]]).reshape(10, -1)
    right = [
        np.argmin(((bank.images_N[of].reshape(-1, 1, 784) - means) ** 2).sum(2), axis=1) == digit
        for digit, of in enumerate(bank.of_class["test"])
    ]
    assert np.mean(right) > 0.85


def test_real_digits_are_read_and_parted(files):
    bank = glyph_bank(of_files(files))
    levels = {split: [bank.images_N[of, 0, 0].tolist() for of in found] for split, found in bank.of_class.items()}
    assert levels == {
        "train": [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]],
        "val": [[10], [11]],
        "test": [[101, 103, 105], [100, 102, 104]],
    }


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("train-labels", None, "there is no such file"),
        ("train-labels", b"P5 28 28", "no IDX file of labels"),
        ("train-labels", idx(2, values=[1, 2]), "12 images, but 2 labels"),
        ("test-labels", idx(6, values=[0] * 6), "no image of digit 1 for split test"),
        ("test-labels", idx(6, values=[0, 1, 0, 1, 0, 12]), "holds the label 12"),
        ("train-images.gz", b"\x1f\x8bcut", "cannot be read"),
        ("train-images.gz", idx(12, 28, 28, values=[0] * 9), "no IDX file of images of digits, or cut off"),
        ("train-images.gz", gzip.compress(b"", mtime=0)[:10] + b"\xff" * 20, "cannot be read"),
        ("train-images.gz", idx(12, 2, 2, values=[0] * 48), "images of 2 x 2 pixels"),
    ],
)
def test_files_that_are_no_digits(files, tmp_path, name, content, told):
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PipelineError, match=told):
        glyph_bank(of_files(files))


def test_the_last_digit_is_in_front_and_dark_ink_is_not_drawn():
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, :, :] = 200
    images[1, :14, :] = 90
    images[1, 14:, :] = 9
    scene = Scene(np.array([0, 1]), np.array([0, 1]), np.array([False, False]), np.array([[[0, 0], [0, 14]]]))
    frame = render(scene, GlyphBank(images, {}), canvas=100, size=100)[0]
    assert (frame[0, 0], frame[0, 20], frame[0, 41], frame[0, 42]) == (200, 90, 90, 0)
    assert (frame[20, 20], frame[20, 30], frame[28, 0]) == (200, 0, 0)
    scaled = render(scene, GlyphBank(images, {}), canvas=100, size=50)
    assert (scaled.dtype, scaled.shape, scaled[0, 3, 3]) == (np.uint8, (1, 50, 50), 200)
