"""How a file says that its frames are to be shown: mirrored, turned, both or neither.

Phones and editors store frames as the sensor gave them, with a matrix that players apply. A matrix whose determinant is
negative mirrors (front cameras, "flip" of an editor). Gyroscopes and editors also write turns that are no whole
quarters, which FFmpeg's players round where they are within a degree; here every turn is rounded, because a frame has
upright sides.

Shapes: H height, W width, C colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, pi
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """What brings a stored frame upright: first the mirror, then the turn.

    Attributes:
        is_mirrored: Whether left and right are exchanged.
        quarter_turns: Quarter turns clockwise, 0 to 3.
    """

    is_mirrored: bool = False
    quarter_turns: int = 0

    def upright_hw(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the upright frame from those of the stored one; and the other way round."""
        return (width, height) if self.quarter_turns % 2 else (height, width)

    def upright(self, frame_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring a stored frame upright; the result is a view of it."""
        mirrored = frame_HWC[:, ::-1] if self.is_mirrored else frame_HWC
        return np.rot90(mirrored, -self.quarter_turns)


AS_STORED = Orientation()


def orientation(matrix: Sequence[int] | None) -> Orientation:
    """Find the mirror and the nearest turn in whole quarters that a display matrix means.

    Args:
        matrix: Nine numbers by rows, as FFmpeg gives them. A point (x, y) of the stored frame, x to the right and y
            down, is shown at (x m[0] + y m[3], x m[1] + y m[4]), apart from a shift. None if the file has no matrix.

    Returns:
        How to bring a frame upright. A turn midway between two quarters goes to the even one.
    """
    if matrix is None:
        return AS_STORED
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    is_mirrored = a * d < b * c
    if is_mirrored:
        a, b = -a, -b
    # The turn that is nearest to what is left, which may also stretch.
    return Orientation(is_mirrored, round(atan2(b - c, a + d) / (pi / 2)) % 4)


def orientation_of(frame: VideoFrame) -> Orientation:
    """Find how a decoded frame is to be shown."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")  # a buffer, though its type does not say so
    return orientation(None if data is None else np.frombuffer(data, dtype=np.int32).tolist())
