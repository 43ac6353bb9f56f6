"""Commit what was computed of each video."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact.writing import Writer

Rows = dict[str, NDArray[Any]]


def write_features(writer: Writer, described: Iterable[tuple[str, tuple[Rows, NDArray[np.float32]]]]) -> None:
    """Commit videos one by one; one whose features cannot be stored is recorded as failed.

    Args:
        writer: Of an artifact whose array `x` holds features in half precision.
        described: Each video with its other rows and its features [N, D].
    """
    for video_id, (rows, x_ND) in described:
        if fits_half(x_ND):
            writer.append(video_id, x=x_ND, **rows)
        else:
            writer.fail(video_id, "the encoder gave numbers that are not finite or beyond half precision")


def fits_half(x_ND: NDArray[np.float32]) -> bool:
    """Whether numbers can be stored in half precision: finite, and not beyond its range."""
    return bool((np.abs(x_ND) <= np.finfo(np.float16).max).all())  # false for NaN, too
