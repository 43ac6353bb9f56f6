"""Encode generated frames as the bytes of a video file. Equal frames give equal bytes.

Shapes: T frames, H height, W width, C colour.
"""

import io
from fractions import Fraction
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

# Options of the encoders. Bytes are the same every time with one thread, without time and random identifiers in the
# file (bitexact), and without mbtree, which reads memory that x264 never wrote when a frame is narrow (measured: 8 of
# 40 clips differed from run to run). There are no B-frames, so that frame k is at k / fps.
H264 = {"preset": "veryfast", "crf": "30", "mbtree": "0", "g": "12", "bf": "0", "flags": "+bitexact"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0", "g": "12", "flags": "+bitexact"}
MPEG4 = {"qmin": "6", "qmax": "6", "g": "12", "flags": "+bitexact"}
CODECS = {  # by container: the encoder and its options
    "mp4": ("libx264", H264),
    "webm": ("libvpx-vp9", VP9),
    "avi": ("mpeg4", MPEG4),
}


def encode(frames_THWC: NDArray[np.uint8], fps: Fraction, container: str) -> bytes:
    """Encode frames as a video file.

    Args:
        frames_THWC: RGB bytes [T, H, W, 3] with even sides.
        fps: Frames a second.
        container: "mp4" (H.264), "webm" (VP9) or "avi" (MPEG-4).

    Returns:
        The content of the file.
    """
    codec, options = CODECS[container]
    content = io.BytesIO()
    with av.open(content, "w", format=container, options={"fflags": "+bitexact"}) as file:
        stream = cast("av.VideoStream", file.add_stream(codec, rate=fps, options=options))
        stream.height, stream.width = frames_THWC.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for frame_HWC in frames_THWC:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")))
        file.mux(stream.encode())
    return content.getvalue()
