"""Videos that are stored turned or mirrored, as those of phones are."""

import struct
from pathlib import Path

import numpy as np

from toys.videos import encode

ONE = 1 << 16
MATRICES = {  # cosine and sine, as a track header has them: a, b, c, d
    "as stored": (ONE, 0, 0, ONE),
    "a quarter": (0, ONE, -ONE, 0),
    "half": (-ONE, 0, 0, -ONE),
    "three quarters": (0, -ONE, ONE, 0),
    "mirrored": (-ONE, 0, 0, ONE),
    "mirrored, a quarter": (0, ONE, ONE, 0),
    "a degree off": (ONE, -1144, 1144, ONE),
}


def corners(height=48, width=80):
    """A picture whose quarters differ, so that every turn and mirror shows."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[: height // 2, : width // 2] = (220, 60, 60)
    image[height // 2 :, width // 2 :] = (60, 60, 220)
    return image


def filmed(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """A video of 2 s, with a matrix in its track header."""
    encode(path, [corners()] * 20, 10)
    content = bytearray(path.read_bytes())
    a, b, c, d = matrix
    struct.pack_into(">9i", content, content.index(b"tkhd") + 4 + 4 + 20 + 16, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path
