"""Find out from a file's packets, without decoding them, which frames it has and where decoding can start.

Shapes: F frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.video.clock import falls_back
from pipeline.video.faults import Faults
from pipeline.video.packets import Packets

MAX_HELD_BACK = 16  # by H.264 and HEVC
Times = NDArray[np.int64]


@dataclass(frozen=True)
class PacketIndex:
    """What the packets of a file tell. Times are in the stream's unit.

    Attributes:
        pts_F: When each frame is shown, ascending; none if the packets do not tell.
        key_pts: When each key frame is shown, ascending. It is what the file calls one, which may be wrong.
        falls_back: Whether times of decoding fall back, as where files were joined.
        first: Byte position and decoding time of the first packet; None if it has none.
        has_closed_groups: Whether no frame after a key frame in the file is shown before it.
        num_held_back: The most frames that a decoder must hold back to give all in the order in which they are shown.
        is_listed: Whether the file's own index lists all its packets, as far as decord relies on it (AVI).
        num_palettes: How many packets bring the colours that the numbers in frames stand for. The first packet does so
            only once after a file was opened.
    """

    pts_F: Times
    key_pts: Times
    falls_back: bool
    first: tuple[int, int] | None
    has_closed_groups: bool
    num_held_back: int
    is_listed: bool
    num_palettes: int


def index_packets(packets: Packets, faults: Faults) -> PacketIndex:
    """Read all packets of a file that was just opened, and count them for `faults`."""
    pts: list[int] = []
    dts: list[int] = []
    keys: list[int] = []
    first = None
    num_packets = num_palettes = 0
    told, cut, has_closed_groups = True, False, True
    num_listed = len(packets.stream.index_entries)  # FFmpeg adds those that it meets
    for packet in packets.following(faults):
        if packet.size == 0:  # the end
            continue
        if num_packets == 0 and packet.pos is not None and packet.dts is not None:
            first = (packet.pos, packet.dts)
        num_packets += 1
        num_palettes += packet.has_sidedata("palette")
        cut = packet.is_corrupt
        if packet.pts is None:
            told = False
        elif not packet.is_discard and not _is_hidden(packet, packets.stream.codec_context.name):
            pts.append(packet.pts)
            if packet.dts is not None:
                dts.append(packet.dts)
            if packet.is_keyframe:
                keys.append(packet.pts)
            has_closed_groups &= not keys or packet.pts >= keys[-1]
    if cut and pts:  # the file ends within the last packet
        num_packets -= 1
        keys = keys[: len(keys) - (keys[-1:] == pts[-1:])]
        pts.pop()
    faults.count(num_packets, pts, packets.path, packets.container.format.name)
    is_listed = packets.container.format.name != "avi" or num_listed >= num_packets
    pts_F = np.unique(np.array(pts, dtype=np.int64))
    if not told or len(pts_F) < len(pts):
        pts_F = pts_F[:0]
    # Where the colours change on the way, only what was read from the start on has the right ones.
    key_pts = np.unique(np.array(keys if num_palettes < 2 else [], dtype=np.int64))
    held_back = num_held_back(pts)
    return PacketIndex(pts_F, key_pts, falls_back(dts), first, has_closed_groups, held_back, is_listed, num_palettes)


def num_held_back(pts: Sequence[int]) -> int:
    """The most frames that come before one that is shown before them; `MAX_HELD_BACK` at most.

    Args:
        pts: When each frame is shown, in the order of decoding.
    """
    shown = np.asarray(pts, dtype=np.int64)
    held = np.zeros(len(shown), dtype=np.int64)
    for distance in range(1, min(MAX_HELD_BACK, len(shown) - 1) + 1):
        held[distance:] += shown[:-distance] > shown[distance:]
    return int(held.max(initial=0))


def _is_hidden(packet: "av.Packet[VideoStream]", codec: str) -> bool:
    """Whether a packet holds a frame that is never shown: VP8 gives those packets of their own (RFC 6386, 9.1)."""
    return codec == "vp8" and not memoryview(packet)[0] & 0x10
