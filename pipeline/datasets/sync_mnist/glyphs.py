"""The digits that clips of SyncMNIST show: drawn by this package, or MNIST's own where the user has the files.

Shapes: N images, 28 rows and columns.
"""

import gzip
import math
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.config import SyncMnistSettings
from pipeline.datasets.sync_mnist.strokes import SIDE, draw_digits
from pipeline.errors import PipelineError
from pipeline.workflow.paths import SPLITS

VARIANTS = 64  # drawn digits of each class in each split
VAL_SHARE = 6  # of real digits, one training image in so many is for validation: MNIST has 60,000
IMAGES_MAGIC, LABELS_MAGIC = 0x0803, 0x0801  # IDX: unsigned bytes, of three dimensions and of one


@dataclass(frozen=True)
class GlyphBank:
    """Images of digits.

    Attributes:
        images_N: Grey, u1 `[N, 28, 28]`, 0 for no ink.
        of_class: For each split, the numbers of the images of each class, so that no split shows another's glyphs.
    """

    images_N: NDArray[np.uint8]
    of_class: dict[str, list[NDArray[np.int64]]]


@lru_cache(maxsize=1)
def glyph_bank(settings: SyncMnistSettings) -> GlyphBank:
    """The glyphs of a data set.

    Raises:
        PipelineError: if a file of digits is missing, is no IDX file, does not fit its labels, or lacks a class.
    """
    if settings.glyphs == "procedural":
        return _drawn(settings.seed)
    files = settings.glyphs
    train, test = (read_glyphs(of.images, of.labels) for of in (files.train, files.test))
    num_train = len(train[1]) - len(train[1]) // VAL_SHARE
    numbers = np.split(np.arange(len(train[1]) + len(test[1])), [num_train, len(train[1])])
    labels = np.concatenate([train[1], test[1]])
    of_class = {
        split: [of_split[labels[of_split] == digit] for digit in range(settings.classes)]
        for split, of_split in zip(SPLITS, numbers, strict=True)
    }
    for split, classes in of_class.items():
        lacking = [str(digit) for digit, found in enumerate(classes) if not len(found)]
        if lacking:
            path = (files.test if split == "test" else files.train).labels
            raise PipelineError(f"{path}: no image of digit {', '.join(lacking)} for split {split}: give whole files")
    return GlyphBank(np.concatenate([train[0], test[0]]), of_class)


def _drawn(seed: int) -> GlyphBank:
    images = [draw_digits(digit, len(SPLITS) * VARIANTS, seed) for digit in range(10)]  # of all splits
    numbers = np.arange(10 * len(SPLITS) * VARIANTS).reshape(10, len(SPLITS), VARIANTS)
    return GlyphBank(np.concatenate(images), {split: list(numbers[:, at]) for at, split in enumerate(SPLITS)})


def read_glyphs(images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read images of digits, `[N, 28, 28]`, and their classes, `[N]`.

    Raises:
        PipelineError: if a file is missing, is no IDX file of these, or the two differ in their numbers.
    """
    pixels = read_idx(images, IMAGES_MAGIC, "images")
    classes = read_idx(labels, LABELS_MAGIC, "labels")
    if pixels.shape[1:] != (SIDE, SIDE):
        raise PipelineError(f"{images}: images of {pixels.shape[1]} x {pixels.shape[2]} pixels: expected 28 x 28")
    if len(pixels) != len(classes):
        raise PipelineError(f"{images}: {len(pixels)} images, but {len(classes)} labels in {labels}: give one set's")
    if classes.size and classes.max() > 9:
        raise PipelineError(f"{labels}: holds the label {classes.max()}: expected digits, 0 to 9")
    return pixels, classes


def read_idx(path: Path, magic: int, what: str) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, which may be gzipped.

    Args:
        path: The file.
        magic: Its first four bytes as a number, which tell type and dimensions.
        what: What it holds, for messages: `images` or `labels`.

    Raises:
        PipelineError: if it is missing or of another form.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except FileNotFoundError as error:
        raise PipelineError(f"`glyphs`: {path}: there is no such file: expected {what} of digits as IDX") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise PipelineError(f"`glyphs`: {path}: cannot be read ({error}): expected {what} of digits as IDX") from error
    num_dims = magic & 0xFF
    header = np.frombuffer(content[: 4 * (1 + num_dims)], ">u4").tolist() if len(content) >= 4 * (1 + num_dims) else [0]
    shape = header[1:]
    if header[0] != magic or len(content) != 4 * (1 + num_dims) + math.prod(shape):
        raise PipelineError(f"`glyphs`: {path}: no IDX file of {what} of digits, or cut off: give MNIST's own file")
    return np.frombuffer(content, np.uint8, offset=4 * (1 + num_dims)).reshape(shape)
