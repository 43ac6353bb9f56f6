"""Frames as JPEG and back, and the codes by which the stores of clips name how frames are kept.

Shapes: H height, W width, C colours (3, or 1 for grey).
"""

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RAW, JPEG = 0, 1  # the array `codec` of the schema `clips`


def encode_jpeg(frame_HWC: NDArray[np.uint8], quality: int) -> bytes:
    """Encode a frame as baseline JPEG with halved colour (4:2:0), as libjpeg does unless it is asked for more.

    Args:
        frame_HWC: Pixels, C is 1 or 3.
        quality: libjpeg's quality, 1 to 100.
    """
    image = Image.fromarray(frame_HWC[:, :, 0] if frame_HWC.shape[2] == 1 else np.ascontiguousarray(frame_HWC))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality, optimize=True)  # Huffman tables of its own: 2 to 4 % smaller
    return content.getvalue()


def decode_jpeg(data: bytes | memoryview, shape_HWC: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Decode a JPEG whose shape is known.

    Args:
        data: Its bytes.
        shape_HWC: The expected shape; C is 1 or 3.

    Raises:
        ValueError: if it is no JPEG, is damaged, or has another shape, which its header says before it is decoded.
    """
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):  # compared below
            image = Image.open(io.BytesIO(data), formats=["JPEG"])
        found = (image.height, image.width, len(image.getbands()))
        if found != shape_HWC:
            raise ValueError(f"a frame is a JPEG of shape {found}, expected {shape_HWC}")
        return np.asarray(image).reshape(shape_HWC)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # all that Pillow raises for damaged files
        raise ValueError(f"a frame is no whole JPEG ({' '.join(str(error).split())})") from error
