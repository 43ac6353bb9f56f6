"""Make video clips that a browser plays, small enough to be put into a page.

Browsers play H.264 in MP4 and VP9 in WebM, with 4:2:0 pixels; such files go in as they are when they are small.
Everything else, whatever is long or large, and every interval of a file becomes a short H.264 clip.
"""

import io
import math
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from pipeline.errors import VideoError
from pipeline.video.interval import MICROSECONDS, TIME_TOLERANCE, Interval, beginning
from pipeline.video.opening import open_container

MAX_BYTES = 400_000
MAX_SECONDS = 10.0
MAX_SIDE = 320  # pixels
MAX_FPS = 15.0
STILL_QUALITY = 75  # of 100, JPEG
PLAYABLE = {("mp4", "h264"): "video/mp4", ("webm", "vp9"): "video/webm"}
_MILLISECOND = Fraction(1, 1000)


def data_uri(path: Path, interval: Interval | None = None) -> str:
    """Make a clip of a video as the `src` of a video element.

    Args:
        path: Any video file.
        interval: The part of it to show; None for all of it.

    Returns:
        `data:video/mp4;base64,...` or `data:video/webm;base64,...`.

    Raises:
        VideoError: The file cannot be read as a video.
    """
    try:
        media_type = playable_as(path) if interval is None else None
        content = path.read_bytes() if media_type else transcode(path, interval)
    except (OSError, av.FFmpegError) as error:
        raise VideoError(f"{path.name}: cannot be shown: {error.strerror}") from error
    return f"data:{media_type or 'video/mp4'};base64,{b64encode(content).decode()}"


def playable_as(path: Path) -> str | None:
    """Return the media type of a file that can go into the page as it is; None for one that must be transcoded.

    Raises:
        VideoError: The file has no video stream.
    """
    if path.stat().st_size > MAX_BYTES:
        return None
    with open_container(path) as container:
        stream = _video_of(container, path)
        duration = (container.duration or 0) / av.time_base
        formats = container.format.name.split(",")
        if duration > MAX_SECONDS or stream.codec_context.pix_fmt not in ("yuv420p", "yuvj420p"):
            return None
        for (form, codec), media_type in PLAYABLE.items():
            if form in formats and path.suffix.lower() in (".mp4", ".m4v", ".webm") and stream.codec.name == codec:
                return media_type
    return None


def transcode(path: Path, interval: Interval | None = None) -> bytes:
    """Encode the first seconds of a video as a small H.264 MP4, in which frames keep their true times.

    Args:
        path: Any video file.
        interval: The part of it to encode; None for all of it.

    Returns:
        The content of the MP4, at most `MAX_SECONDS` long, with at most `MAX_FPS` frames a second.

    Raises:
        VideoError: No frame can be decoded.
    """
    content = io.BytesIO()
    with open_container(path) as source, av.open(content, "w", format="mp4") as target:
        incoming = _video_of(source, path)
        outgoing: av.VideoStream | None = None
        first = last = None
        for seconds, frame in _timed(source, incoming, interval):
            first = seconds if first is None else first
            if seconds - first > MAX_SECONDS:
                break
            if last is not None and seconds - last < 1 / MAX_FPS - 1e-3:
                continue
            last = seconds
            if outgoing is None:
                outgoing = _add_stream(target, frame)
            picture = frame.reformat(width=outgoing.width, height=outgoing.height, format="yuv420p")
            picture.time_base = _MILLISECOND
            picture.pts = round((seconds - first) * 1000)
            target.mux(outgoing.encode(picture))
        if outgoing is None:
            of_it = "" if interval is None else f" from {interval} s"
            raise VideoError(f"{path.name}: cannot be shown: it has no frame{of_it} that decodes")
        target.mux(outgoing.encode())
    return content.getvalue()


def still_uri(path: Path, interval: Interval | None = None) -> str:
    """Make a still of a video as the `src` of an image.

    It is the key frame before the middle of a file, or the first frame after the middle of an interval; the first frame
    that decodes where there is none.

    Args:
        path: Any video file.
        interval: The part of it to show; None for all of it.

    Returns:
        `data:image/jpeg;base64,...`, whose longer side has at most `MAX_SIDE` pixels.

    Raises:
        VideoError: No frame can be decoded.
    """
    content = io.BytesIO()
    try:
        frame = _middle_frame(path) if interval is None else _middle_of(path, interval)
        picture = frame.to_image()  # type: ignore[no-untyped-call]
    except (OSError, av.FFmpegError) as error:
        raise VideoError(f"{path.name}: cannot be shown: {error.strerror}") from error
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    picture.save(content, "JPEG", quality=STILL_QUALITY)
    return f"data:image/jpeg;base64,{b64encode(content.getvalue()).decode()}"


def _middle_of(path: Path, interval: Interval) -> av.VideoFrame:
    """Decode the first frame after an interval's middle, or the interval's first frame where there is none."""
    with open_container(path) as source:
        stream = _video_of(source, path)
        end = interval.stop if interval.stop is not None else (source.duration or 0) / av.time_base
        middle = (interval.start + max(interval.start, end)) / 2
        for start in (middle, interval.start):
            for _, frame in _timed(source, stream, replace(interval, start=start)):
                return frame
    raise VideoError(f"{path.name}: cannot be shown: it has no frame from {interval} s that decodes")


def _middle_frame(path: Path) -> av.VideoFrame:
    """Decode the key frame before a file's middle, or the file's first frame where seeking finds none."""
    with open_container(path) as source:
        stream = _video_of(source, path)
        for microsecond in ((source.duration or 0) // 2, 0):
            source.seek(microsecond + max(source.start_time or 0, 0))
            for frame in source.decode(stream):
                return frame
    raise VideoError(f"{path.name}: cannot be shown: it has no frame that decodes")


def _timed(
    source: av.container.InputContainer, stream: av.VideoStream, interval: Interval | None
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Decode frames with their times in seconds, as the file has them; of an interval, its own frames alone."""
    begin = beginning(source.start_time)
    first, stop = -math.inf, math.inf
    if interval is not None:
        first = begin + interval.start - TIME_TOLERANCE
        stop = math.inf if interval.stop is None else begin + interval.stop - TIME_TOLERANCE
        source.seek(int((begin + interval.start) * MICROSECONDS))
    seconds = 0.0
    for frame in source.decode(stream):
        seconds = frame.time if frame.time is not None else seconds + 1 / MAX_FPS
        if seconds >= stop:
            return
        if seconds >= first:
            yield seconds, frame


def _add_stream(target: av.container.OutputContainer, frame: av.VideoFrame) -> av.VideoStream:
    """Add an H.264 stream of the frame's aspect ratio, with even sides of at most `MAX_SIDE` pixels."""
    scale = min(1.0, MAX_SIDE / max(frame.width, frame.height))
    options = {"preset": "veryfast", "crf": "28"}
    stream = target.add_stream("libx264", rate=round(MAX_FPS), options=options)
    stream.width, stream.height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = _MILLISECOND
    stream.codec_context.thread_count = 1
    return stream


def _video_of(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    if not container.streams.video:
        raise VideoError(f"{path.name}: cannot be shown: it has no video stream")
    return container.streams.video[0]
