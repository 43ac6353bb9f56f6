"""Collect what looks damaged in a video file while it is read: FFmpeg's errors, patched frames, missing frames.

A flipped bit seldom stops a decoder: it patches the frame with parts of others, says so in its log, and goes on. Only
what was decoded can be judged, and not every flipped bit is seen: some give another valid picture.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import av.codec
import av.logging
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.video.fragments import has_fragments
from pipeline.video.opening import open_container

MAX_MESSAGE = 120  # characters
# A decoder that starts in the middle of a file may be told to forget a frame that it never had.
HARMLESS = re.compile(r"mmco: unref short failure")
# Warnings that tell of damage; others tell how the file was written. Errors always count.
DAMAGE = re.compile(r"corrupt|prematurely|truncated|invalid timestamps|wrong sample count|EBML number", re.IGNORECASE)

STREAM = re.compile(r"\bstream\s*[=#]?\s*(?:\d+:)?(\d+)", re.IGNORECASE)  # how demuxers name one

# Each message counts: by default PyAV drops one that equals the last one, which may be of another video.
av.logging.set_skip_repeated(False)


class Faults:
    """Faults found so far in one file.

    Attributes:
        stream: Number of the stream that is the file's video; None until it is chosen. What FFmpeg says of others does
            not count.
        message: The first error that the demuxer or decoder reported; None if none.
        num_patched: Frames that the decoder gave and marked as damaged.
        num_lost: Frames between decoded ones that the decoder did not give.
        num_expected: Frames that the file says it holds; 0 if it does not say.
        num_packets: Frames that the file holds, counted by its packets.
        num_joins: How often its clock falls back, as where files were joined.
    """

    def __init__(self, stream: int | None = None) -> None:
        self.stream = stream
        self.message: str | None = None
        self.num_patched = 0
        self.num_lost = 0
        self.num_expected = 0
        self.num_packets = 0
        self.num_joins = 0

    def reason(self) -> str | None:
        """The reason not to trust the video's frames, the same words each time; None if nothing was seen."""
        found = []
        if self.num_expected != self.num_packets and self.num_expected > 0:
            found.append(f"its header counts {self.num_expected} frames, the file holds {self.num_packets}")
        if self.num_joins:
            found.append(f"its clock falls back, as in joined files: {self.num_joins} (later times are counted on)")
        if self.num_lost:
            found.append(f"frames lost among those decoded: {self.num_lost}")
        if self.num_patched:
            found.append(f"damaged among those decoded: {self.num_patched}")
        if self.message is not None:
            found.append(f"FFmpeg said: {self.message}")
        return "; ".join(found) or None

    def because(self) -> str:
        """The first error in brackets, to end a message about what it led to; empty if there was none."""
        return "" if self.message is None else f" ({self.message})"

    def expect(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        """Note how many frames the file says it holds."""
        self.num_expected = stream.frames
        if stream.frames != len(stream.index_entries) and "mp4" in container.format.name:
            # Its edit list may leave samples out, which is no fault: count again without it.
            with open_container(path, {"ignore_editlist": "1"}) as whole:
                if len(whole.streams[stream.index].index_entries) == stream.frames:
                    self.num_expected = len(stream.index_entries)

    def count(self, num_packets: int, pts: list[int], path: Path, format_name: str) -> None:
        """Note how many frames the file holds, and forget the header's count where that tells of something else.

        An AVI file counts empty places, too, and a fragmented MP4 file at most the frames before its fragments.
        """
        self.num_packets = num_packets
        if "mp4" in format_name and num_packets != self.num_expected and has_fragments(path):
            self.num_expected = num_packets
        if format_name == "avi" and num_packets < self.num_expected and len(pts) > 1:
            # AVI counts places of equal length; a frame on show for longer is followed by empty ones.
            longest = max(after - before for before, after in pairwise(pts))
            if longest > 1 and self.num_expected <= pts[-1] + 1 + longest:
                self.num_expected = num_packets

    def packets(self, container: InputContainer, stream: VideoStream) -> "Iterator[av.Packet[av.VideoStream]]":
        """Give the packets of the stream, as far as they can be read; the error that ends them is noted."""
        packets = container.demux(stream)
        while True:
            try:
                with self.listening():
                    packet = next(packets, None)
            except av.FFmpegError as error:
                self._note(f"{container.format.name}: {error.strerror}")
                return
            except IndexError:
                # PyAV raises this at the end of a file in which another stream began late: it reads beyond its list.
                return
            if packet is None:
                return
            yield packet

    def decode(self, packet: "av.Packet[VideoStream]") -> list[VideoFrame]:
        """Decode the frames that a packet completes; an error is noted and gives none."""
        try:
            with self.listening():
                frames = packet.decode()
        except av.FFmpegError as error:
            self._note(f"{packet.stream.codec_context.name}: {error.strerror}")
            return []
        self.num_patched += sum(frame.is_corrupt for frame in frames)
        return frames

    def drain(self, stream: VideoStream) -> list[VideoFrame]:
        """Take the frames that the decoder still holds back; it then takes no packet before a seek."""
        try:
            with self.listening():
                return stream.codec_context.decode(None)
        except av.FFmpegError as error:
            self._note(f"{stream.codec_context.name}: {error.strerror}")
            return []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note what FFmpeg logs of damage within the context."""
        av.logging.set_level(av.logging.WARNING)
        heard = av.logging.Capture()
        try:
            with heard:
                yield
        finally:
            av.logging.set_level(None)
            for level, name, message in heard.logs:
                if is_of_others(name, message, self.stream):
                    continue
                if (level <= av.logging.ERROR and not HARMLESS.search(message)) or DAMAGE.search(message):
                    self._note(f"{name}: {message}")

    def _note(self, message: str) -> None:
        if self.message is None:
            self.message = " ".join(message.split())[:MAX_MESSAGE]


def is_of_others(name: str, message: str, stream: int | None) -> bool:
    """Whether a message of FFmpeg is about sound or subtitles, or about another stream than that of this number.

    Args:
        name: What speaks: a codec, a parser, or a container.
        message: What it says.
        stream: Number of the stream that is the file's video; None if it is not known.
    """
    named = STREAM.search(message)
    return is_of_sound(name) or (named is not None and int(named[1]) != stream)


@cache
def is_of_sound(name: str) -> bool:
    """Whether what speaks so called is a codec or a parser of sound or subtitles."""
    try:
        return av.codec.Codec(name.split(" ")[0].lower(), "r").type in ("audio", "subtitle")
    except ValueError:  # it is no codec
        return False
