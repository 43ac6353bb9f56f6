"""Number the frames that are decoded one after another, and find out whether decoding can start at a key frame.

Shapes: F frames.
"""

from collections.abc import Iterator

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.video.faults import Faults
from pipeline.video.packets import Packets

IDR = 5  # type of a unit of H.264: a slice of a picture that decoding can start at


class FrameRun:
    """A run of frames that are decoded one after another, from a key frame on.

    Args:
        decoded: The frames, in the order of presentation.
        key: Number of the first one.
        pts_F: Times of all the video's frames, in the stream's unit; None where frames are numbered by counting.
        faults: Collects the number of frames that the decoder does not give.
    """

    def __init__(
        self, decoded: Iterator[VideoFrame], key: int, pts_F: NDArray[np.int64] | None, faults: Faults
    ) -> None:
        self.decoded = decoded
        self.last = key - 1  # number of the last frame that came
        self.pts_F = pts_F
        self.faults = faults
        self.came: VideoFrame | None = None

    def frame(self, number: int) -> VideoFrame | None:
        """Decode up to the frame of this number; None if it does not come. Numbers must not descend between calls."""
        while self.last < number:
            before = self.last
            self.came = next(self.decoded, None)
            if self.came is None:
                self.last = number
            else:
                self.last = self._number(self.came)
            self.faults.num_lost += max(0, self.last - before - (self.came is not None))
        return self.came if self.last == number else None

    def _number(self, frame: VideoFrame) -> int:
        if self.pts_F is None:
            return self.last + 1
        number = int(np.searchsorted(self.pts_F, frame.pts or 0))
        foretold = number < len(self.pts_F) and self.pts_F[number] == frame.pts
        return max(number, self.last) if foretold else self.last


def decodes_alone(packets: Packets, key_pts: int) -> bool:
    """Whether a seek leads to a key frame that is decoded without any other frame, and is progressive and upright.

    Files call frames key frames that are none: where a picture is refreshed by and by (drones, web cams), where the
    writer marks every packet, or none, or where an index is wrong. A reader that counts from there is off.

    Args:
        packets: Those of the file; decoding must begin anew afterwards, by a seek.
        key_pts: When the key frame is shown, in the stream's unit.
    """
    aside = Faults(packets.stream.index)  # what is said of one frame out of its place tells nothing of the file
    packet = next(packets.following(aside), None) if packets.seek(key_pts) else None
    if packet is None or packet.pts != key_pts:
        return False
    if _is_idr(packet):
        return True
    frames = aside.decode(packet) + aside.drain(packets.stream)
    return (
        aside.reason() is None
        and [frame.pts for frame in frames] == [key_pts]
        and frames[0].key_frame
        and not frames[0].interlaced_frame
        and frames[0].side_data.get("DISPLAYMATRIX") is None
    )


def _is_idr(packet: "av.Packet[VideoStream]") -> bool:
    """Whether a packet holds an IDR picture of H.264 and nothing else, so that decoding it would tell nothing new.

    No later frame refers to one before it (H.264, 3.69), and its size, fields and turn are those of the header. In MP4
    and Matroska, units come with their lengths; where they come with start codes, with parameters or remarks, the
    picture is decoded.
    """
    context = packet.stream.codec_context
    header = context.extradata if context.name == "h264" else None
    if not header or header[0] != 1:
        return False
    data, place, prefix = memoryview(packet), 0, (header[4] & 3) + 1
    while place + prefix < len(data) and data[place + prefix] & 0x1F == IDR:
        place += prefix + int.from_bytes(data[place : place + prefix], "big")
    return place == len(data)
