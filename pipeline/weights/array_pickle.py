"""Read pickles of NumPy arrays that Python 2 wrote, as Caffe2's weights are, without making what they want.

Nothing that the file names is imported: each array stays an `Inert` with its shape, its type and its bytes, out of
which a tensor is put together here (see `pipeline.weights.archive`).
"""

import math
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.weights.archive import PUTS, Inert, InertUnpickler, globals_and_texts, names_in_zip

ARRAY = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
DTYPE = "numpy.dtype"
TYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1")
ORDERS = ("<", ">", "|", "=")


def is_array_pickle(path: Path) -> bool:
    """Whether a file looks like a bare pickle of NumPy arrays."""
    if names_in_zip(path):
        return False
    with path.open("rb") as file:
        start = file.read(1)
    if start not in (b"\x80", b"(", b"}", b"c"):
        return False
    wanted, _ = globals_and_texts(path, 2_000)
    return any(name in ARRAY for name in wanted)


def read_arrays(path: Path) -> dict[str, Tensor]:
    """Read the arrays of a pickle by name: those of its dict, or of the dict `blobs` in it.

    Args:
        path: The file. Whatever else it holds is left out.

    Raises:
        ValueError: it holds no such dict, or an array whose bytes are not those of its shape and type.
        Exception: it is damaged; the unpickler raises errors of many kinds.
    """
    with path.open("rb") as file:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if opcode.name in PUTS and isinstance(argument, int) and argument > number:  # it would fill the memory
                raise ValueError(f"it wants place {argument} of its memo after {number} instructions")
        file.seek(0)
        held = InertUnpickler(file, encoding="latin1").load()
    blobs = held.get("blobs", held) if isinstance(held, dict) else None
    if not isinstance(blobs, dict):
        raise ValueError(f"it holds a {type(held).__name__}, no dict of arrays")  # noqa: TRY004
    return {str(name): _tensor(str(name), value) for name, value in blobs.items() if _is_array(value)}


def _is_array(held: Any) -> bool:
    return isinstance(held, Inert) and held.wanted in ARRAY


def _tensor(name: str, held: Inert) -> Tensor:
    """Put a tensor together from the state of an array: version, shape, type, order of its axes, and bytes."""
    state = held.state
    if not isinstance(state, tuple) or len(state) != 5:
        raise ValueError(f"its array {name} has no state of shape, type and bytes")
    _, shape, kind, by_columns, raw = state
    if not isinstance(shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError(f"its array {name} has no shape")
    dtype = _dtype(name, kind)
    # What Python 3 wrote goes through a codec: an Inert with the text and the codec's name; no bytes are a call.
    if isinstance(raw, Inert) and raw.wanted in ("_codecs.encode", "builtins.bytes", "__builtin__.bytes"):
        raw = raw.arguments[0] if raw.arguments else b""
    content = raw.encode("latin1") if isinstance(raw, str) else raw
    if not isinstance(content, bytes) or len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"its array {name} of {list(shape)} does not have the bytes of that shape")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")
    return torch.from_numpy(np.ascontiguousarray(array.astype(dtype.newbyteorder("="))).reshape(shape))


def _dtype(name: str, kind: Any) -> np.dtype[Any]:
    """The type of numbers that an Inert stands for."""
    if isinstance(kind, Inert) and kind.wanted == DTYPE and kind.arguments and kind.arguments[0] in TYPES:
        order = kind.state[1] if isinstance(kind.state, tuple) and len(kind.state) > 1 else "="
        if order in ORDERS:
            found: np.dtype[Any] = np.dtype(kind.arguments[0]).newbyteorder(order)
            return found
    raise ValueError(f"its array {name} is none of numbers")
