"""Make video clips that a browser plays, small enough to be put into a page or to lie beside it.

Browsers play H.264 in MP4 and VP9 in WebM, with 4:2:0 pixels; such files go in as they are when they are small.
Everything else, whatever is long or large, and every interval of a file becomes a short H.264 clip.

The stream that is shown, and how its frames are turned and mirrored, is what the readers of `pipeline.video` choose.

Shapes: H height, W width, C colour.
"""

import io
import math
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import VideoError
from pipeline.video.interval import MICROSECONDS, TIME_TOLERANCE, Interval, beginning
from pipeline.video.mishaps import costing_one_video
from pipeline.video.opening import open_container
from pipeline.video.orientation import AS_STORED, Orientation, orientation_of
from pipeline.video.video_stream import choose_stream

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
    media_type, content = clip_of(path, interval)
    return f"data:{media_type};base64,{b64encode(content).decode()}"


def clip_of(path: Path, interval: Interval | None = None) -> tuple[str, bytes]:
    """Make a clip of a video that a browser plays.

    Args:
        path: Any video file.
        interval: The part of it to show; None for all of it.

    Returns:
        Its media type, `video/mp4` or `video/webm`, and its content.

    Raises:
        VideoError: The file cannot be read as a video.
    """
    with _showing(path):
        media_type = playable_as(path) if interval is None else None
        if media_type:
            return media_type, path.read_bytes()
        return "video/mp4", transcode(path, interval)


def playable_as(path: Path) -> str | None:
    """Return the media type of a file that can go into the page as it is; None for one that must be transcoded.

    Raises:
        VideoError: The file has no video stream.
    """
    if path.stat().st_size > MAX_BYTES:
        return None
    with open_container(path) as container:
        if len(container.streams.video) > 1:  # a browser may choose another one
            return None
        stream = _video_of(container)
        duration = (container.duration or 0) / av.time_base
        formats = container.format.name.split(",")
        if duration > MAX_SECONDS or stream.codec_context.pix_fmt not in ("yuv420p", "yuvj420p"):
            return None
        for (form, codec), media_type in PLAYABLE.items():
            if form in formats and path.suffix.lower() in (".mp4", ".m4v", ".webm") and stream.codec.name == codec:
                # Browsers turn frames by whole quarters, but neither mirror nor round.
                first = next(_decoded(container, stream), None)
                return media_type if first is not None and orientation_of(first) == AS_STORED else None
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
        incoming = _video_of(source)
        outgoing: av.VideoStream | None = None
        orientation = AS_STORED
        first = last = None
        for seconds, frame in _timed(source, incoming, interval):
            first = seconds if first is None else first
            if seconds - first > MAX_SECONDS:
                break
            if last is not None and seconds - last < 1 / MAX_FPS - 1e-3:
                continue
            last = seconds
            if outgoing is None:
                orientation = orientation_of(frame)
                outgoing = _add_stream(target, *orientation.upright_hw(frame.height, frame.width))
            picture = _upright(frame, orientation, outgoing.height, outgoing.width)
            picture.time_base = _MILLISECOND
            picture.pts = round((seconds - first) * 1000)
            target.mux(outgoing.encode(picture))
        if outgoing is None:
            of_it = "" if interval is None else f" from {interval} s"
            raise VideoError(f"it has no frame{of_it} that decodes")
        target.mux(outgoing.encode())
    return content.getvalue()


def still_uri(path: Path, interval: Interval | None = None) -> str:
    """Make a still of a video as the `src` of an image: that of `still_of`.

    Raises:
        VideoError: No frame can be decoded.
    """
    return f"data:image/jpeg;base64,{b64encode(still_of(path, interval)).decode()}"


def still_of(path: Path, interval: Interval | None = None) -> bytes:
    """Make a still of a video.

    It is the key frame before the middle of a file, or the first frame after the middle of an interval; the first frame
    that decodes where there is none.

    Args:
        path: Any video file.
        interval: The part of it to show; None for all of it.

    Returns:
        A JPEG, whose longer side has at most `MAX_SIDE` pixels.

    Raises:
        VideoError: No frame can be decoded.
    """
    content = io.BytesIO()
    with _showing(path):
        frame = _middle_frame(path) if interval is None else _middle_of(path, interval)
        picture = Image.fromarray(orientation_of(frame).upright(_pixels(frame)))
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    picture.save(content, "JPEG", quality=STILL_QUALITY)
    return content.getvalue()


def _middle_of(path: Path, interval: Interval) -> av.VideoFrame:
    """Decode the first frame after an interval's middle, or the interval's first frame where there is none."""
    with open_container(path) as source:
        stream = _video_of(source)
        end = interval.stop if interval.stop is not None else (source.duration or 0) / av.time_base
        middle = (interval.start + max(interval.start, end)) / 2
        for start in (middle, interval.start):
            for _, frame in _timed(source, stream, replace(interval, start=start)):
                return frame
    raise VideoError(f"it has no frame from {interval} s that decodes")


def _middle_frame(path: Path) -> av.VideoFrame:
    """Decode the key frame before a file's middle, or the file's first frame where seeking finds none."""
    with open_container(path) as source:
        stream = _video_of(source)
        for microsecond in ((source.duration or 0) // 2, 0):
            source.seek(microsecond + max(source.start_time or 0, 0))
            for frame in _decoded(source, stream):
                return frame
    raise VideoError("it has no frame that decodes")


def _timed(
    source: av.container.InputContainer, stream: av.VideoStream, interval: Interval | None
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Decode frames with their times in seconds; of an interval, its own frames alone.

    The times are those of the file, counted on where its clock falls back, as the readers do with joined files.
    """
    begin = beginning(source.start_time)
    first, stop = -math.inf, math.inf
    if interval is not None:
        first = begin + interval.start - TIME_TOLERANCE
        stop = math.inf if interval.stop is None else begin + interval.stop - TIME_TOLERANCE
        source.seek(int((begin + interval.start) * MICROSECONDS))
    seconds, step, late = None, 1 / MAX_FPS, 0.0
    for frame in _decoded(source, stream):
        now = frame.time + late if frame.time is not None else (seconds or 0.0) + step
        if seconds is not None and now < seconds - step:
            late += seconds + step - now
            now = seconds + step
        if seconds is not None and now > seconds:
            step = now - seconds
        seconds = now
        if seconds >= stop:
            return
        if seconds >= first:
            yield seconds, frame


def _decoded(source: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Decode frames from where the file is, past damage, as the readers do."""
    for packet in source.demux(stream):
        with suppress(av.FFmpegError):
            yield from packet.decode()


def _upright(frame: av.VideoFrame, orientation: Orientation, height: int, width: int) -> av.VideoFrame:
    """Scale a frame and bring it upright, for the encoder; height and width are those of the upright frame."""
    if orientation == AS_STORED:
        return frame.reformat(width=width, height=height, format="yuv420p")
    height, width = orientation.upright_hw(height, width)
    scaled = frame.reformat(width=width, height=height, format="rgb24")
    upright_HWC = np.ascontiguousarray(orientation.upright(_pixels(scaled)))
    return av.VideoFrame.from_ndarray(upright_HWC, format="rgb24").reformat(format="yuv420p")


def _pixels(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """The colours of a frame as it is stored, RGB [H, W, 3]."""
    return cast("NDArray[np.uint8]", frame.to_ndarray(format="rgb24"))


def _add_stream(target: av.container.OutputContainer, height: int, width: int) -> av.VideoStream:
    """Add an H.264 stream of a frame's aspect ratio, with even sides of at most `MAX_SIDE` pixels."""
    scale = min(1.0, MAX_SIDE / max(width, height))
    options = {"preset": "veryfast", "crf": "28"}
    stream = target.add_stream("libx264", rate=round(MAX_FPS), options=options)
    stream.width, stream.height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = _MILLISECOND
    stream.codec_context.thread_count = 1
    return stream


def _video_of(container: av.container.InputContainer) -> av.VideoStream:
    stream = choose_stream(container)
    if stream is None:
        raise VideoError("it has no video stream")
    if stream.codec_context is None:
        raise VideoError("there is no decoder for it")
    return stream


@contextmanager
def _showing(path: Path) -> Iterator[None]:
    """Let whatever a file does become a reason that names it."""
    try:
        with costing_one_video():
            yield
    except VideoError as error:
        raise VideoError(f"{path.name}: cannot be shown: {error}") from error
