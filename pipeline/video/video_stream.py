"""Open the video stream of a file, or say why it has none that can be decoded."""

from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.errors import VideoError
from pipeline.video.faults import Faults
from pipeline.video.opening import open_container

MAX_PIXELS = 8192 * 4320  # of a frame: 8K of cinemas. A file of a few bytes can claim 65535 x 65535
STILLS = {"bmp", "gif", "jpeg2000", "jpegls", "mjpeg", "png", "tiff", "webp"}  # codecs that covers have
LIMITS = {"max_pixels": str(MAX_PIXELS), "err_detect": "crccheck"}


def open_stream(path: Path, faults: Faults) -> tuple[InputContainer, VideoStream]:
    """Open a file and choose its video stream, which one thread will decode.

    Args:
        path: The file.
        faults: Listens to what FFmpeg says while it opens the file.

    Raises:
        VideoError: FFmpeg cannot read the file, it has no video, or one that is not decoded here.
        OSError: There is no such file, or it may not be read.
    """
    try:
        with faults.listening():
            container = open_container(path, LIMITS)
            stream = choose_stream(container)
            faults.stream = None if stream is None else stream.index
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(_why_unreadable(path)) from error
    if stream is None:
        kinds = sorted({other.type for other in container.streams if other.type != "video"})
        raise VideoError(f"no video in it, {' and '.join(kinds) or 'nothing'} only")
    context = stream.codec_context
    if context is None:
        raise VideoError("no decoder for it: convert it, for instance to H.264 in .mp4")
    if context.width * context.height > MAX_PIXELS:
        raise VideoError(f"frames of {context.width} x {context.height} pixels: {MAX_PIXELS} at most are decoded")
    context.thread_count = 1
    context.options = LIMITS
    return container, stream


def choose_stream(container: InputContainer) -> VideoStream | None:
    """Choose the stream of a file that is its video: FFmpeg's choice, unless that is a cover and there is another.

    Not every writer says of a cover that it is one: a stream of a single picture is taken for it, too.

    Returns:
        The stream; None if the file has none, or nothing but a cover that is called one.
    """
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    moving = [stream for stream in streams if not _is_still(stream)] or streams
    best = container.streams.best("video")
    chosen = [stream for stream in moving if best is not None and stream.index == best.index]
    return next(iter(chosen + moving), None)


def _is_still(stream: VideoStream) -> bool:
    """Whether a stream holds a single picture, as far as its header tells."""
    codec = stream.codec_context.name if stream.codec_context is not None else ""
    return stream.frames == 1 or (stream.frames == 0 and codec in STILLS)


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:] == b"ftyp" or head[:4] in (b"RIFF", b"\x1a\x45\xdf\xa3"):  # MP4 and MOV; AVI; Matroska and WebM
        return "cut off or damaged: it begins as a video file does, but its index cannot be read"
    return "not a video file"
