"""Encoders of windows that are watched or break off, for the stages that compute motion."""

from collections.abc import Callable

import numpy as np

from pipeline.models.i3d import InceptionI3d
from pipeline.models.motion_encoding import Encode, make_encoder


def counting(batches: list[np.ndarray]) -> Callable[[InceptionI3d, str], Encode]:
    """A `make_encoder` whose encoder keeps the batches that it is given."""

    def make(model: InceptionI3d, precision: str) -> Encode:
        encode = make_encoder(model, precision)
        return lambda windows: batches.append(windows) or encode(windows)

    return make


def interrupted_after(num_batches: int) -> Callable[[InceptionI3d, str], Encode]:
    """A `make_encoder` whose encoder raises KeyboardInterrupt instead of computing one more batch."""

    def make(model: InceptionI3d, precision: str) -> Encode:
        encode, done = make_encoder(model, precision), []

        def encode_some(windows: np.ndarray) -> np.ndarray:
            if len(done) == num_batches:
                raise KeyboardInterrupt
            done.append(len(windows))
            return encode(windows)

        return encode_some

    return make
