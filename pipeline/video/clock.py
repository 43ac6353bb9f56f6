"""The clock of a file that was put together of several: where it falls back, and how its times go on.

Transport and program streams may be joined by `cat` (segments of a broadcast, cells of a DVD), and recorders append to
WebM. Each part then begins with times of its own, mostly the same. Players show the parts one after another.

Shapes: F frames.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray


def falls_back(decoding_times: Sequence[int]) -> bool:
    """Whether times of decoding, which ascend in a sound file, fall back anywhere by more than the usual step."""
    steps: NDArray[Any] = np.diff(np.array(decoding_times, dtype=np.int64))
    return bool((steps < -_usual(steps)).any())


def counted_on(times_F: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Let each part of a file begin one usual step after the last frame of the part before.

    Args:
        times_F: Times of frames in seconds, in the order in which a decoder gives them for showing. Times that a
            demuxer guessed may be exchanged between neighbours.

    Returns:
        The times, ascending, and how often the clock fell back by more than a usual step.
    """
    steps = np.diff(times_F)
    step = _usual(steps)
    starts = np.flatnonzero(steps < -step) + 1
    parts = [np.sort(part) for part in np.split(times_F, starts)]
    for before, part in pairwise(parts):
        part += before[-1] + step - part[0]
    return np.concatenate(parts), len(starts)


def _usual(steps: NDArray[Any]) -> float:
    forward = steps[steps > 0]
    return float(np.median(forward)) if len(forward) else 0.0
