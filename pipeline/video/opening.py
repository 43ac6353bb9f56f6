"""Open a video file with PyAV, whatever it is called and whatever its tags say."""

from collections.abc import Mapping
from pathlib import Path

import av
from av.container import InputContainer


def open_container(path: Path, options: Mapping[str, str] | None = None) -> InputContainer:
    """Open a file for reading.

    Args:
        path: The file.
        options: Options of FFmpeg for the container and its streams.

    Raises:
        av.FFmpegError: FFmpeg cannot read it.
        OSError: There is no such file, or it may not be read.
    """
    # Titles in the encoding of a camera or a country are of no interest here, and must not cost the video.
    return av.open(location_of(path), options=dict(options or {}), metadata_errors="replace")


def location_of(path: Path) -> str:
    """The path as FFmpeg takes it for a file: from the root, because `cut:1.mp4` would name a protocol."""
    return str(path.absolute())
