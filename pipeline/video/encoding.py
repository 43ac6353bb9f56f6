"""Frames to the bytes of a video file."""

import io
from fractions import Fraction
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

# The same bytes every time: one thread, no time and no random identifiers in the file (bitexact), and no mbtree, which
# reads memory that x264 never wrote when a frame is narrow (measured: 8 of 40 clips differed from run to run). No
# B-frames, so that frame k is at k / fps.
H264 = {"preset": "veryfast", "crf": "30", "mbtree": "0", "g": "12", "bf": "0", "flags": "+bitexact"}


VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0", "g": "12", "flags": "+bitexact"}


MPEG4 = {"qmin": "6", "qmax": "6", "g": "12", "flags": "+bitexact"}


CODECS = {"mp4": ("libx264", H264), "webm": ("libvpx-vp9", VP9), "avi": ("mpeg4", MPEG4)}


def encode(frames_THWC: NDArray[np.uint8], fps: Fraction, container: str) -> bytes:
    """Encode RGB frames [T, H, W, 3] (even sides) as a file of the container "mp4", "webm" or "avi"."""
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
