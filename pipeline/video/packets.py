"""Read the packets of a video stream, from the start of its file or from a key frame on.

A packet holds a frame as it is encoded. Going back to the first one is an art: not every demuxer finds it again, and
some give what a decoder needs (the palette of 8-bit frames) with the first packet after opening and never again.
"""

from collections.abc import Iterator
from pathlib import Path

import av
from av.video.stream import VideoStream

from pipeline.video.faults import Faults
from pipeline.video.video_stream import open_stream

PacketStream = Iterator["av.Packet[VideoStream]"]


class Packets:
    """The packets of one file, which is open until `close`.

    Attributes:
        container: The file.
        stream: Its video.
        first: Byte position and decoding time of the first packet; None if unknown, and the file is then opened anew.
        needs_first: Whether the decoder has not yet seen the first packet after opening, which brings what no later one
            does.
        reopens: Whether going back to the first packet means to open the file anew: where later packets bring such
            things, too, and where files were joined, of which some demuxers read only one part after a seek.
    """

    def __init__(self, path: Path, faults: Faults) -> None:
        self.path = path
        self.container, self.stream = open_stream(path, faults)
        self.first: tuple[int, int] | None = None
        self.needs_first = self.reopens = False

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    def seek(self, time: int) -> bool:
        """Go to a time or before it, in the stream's unit; False if the demuxer cannot. Decoding begins anew there."""
        try:
            self.container.seek(time, stream=self.stream)
        except av.FFmpegError:
            return False
        return True

    def following(self, faults: Faults) -> PacketStream:
        """The packets from where the file stands."""
        return faults.packets(self.container, self.stream)

    def from_key(self, key_pts: int, faults: Faults) -> PacketStream:
        """The packets from a key frame on, without frames that are shown before it; all packets if it is not found.

        Each must be decoded before the next is asked for.
        """
        if self.needs_first and (packet := next(self.all(faults), None)) is not None:
            faults.decode(packet)  # a decoder keeps a palette when it begins anew
        if self.seek(key_pts):
            found = False
            for packet in self.following(faults):
                found = found or packet.pts == key_pts
                # Frames shown before the key frame may come after it, and need what was before it.
                if found and (packet.pts is None or packet.pts >= key_pts):
                    yield packet
            if found:
                return
        yield from self.all(faults)

    def all(self, faults: Faults) -> PacketStream:
        """The packets from the first one on."""
        # A damaged transport stream may lose another part when it goes back than it does from its beginning.
        can_go_back = not (self.needs_first or self.reopens or self.container.format.name == "mpegts")
        if can_go_back and self.first is not None and self.seek(self.first[1]):
            packets = self.following(faults)
            packet = next(packets, None)
            if packet is not None and (packet.pos, packet.dts) == self.first:
                yield packet
                yield from packets
                return
        # Not every demuxer finds the first packet again.
        self.close()
        self.container, self.stream = open_stream(self.path, faults)
        self.needs_first = False
        yield from self.following(faults)
