"""Make one store of videos that worker processes decode: what each of them gives, or why it gave nothing."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from pipeline.artifact.each_video import Outcomes, Rows, VideoRows, videos_together
from pipeline.artifact.writing import Writer
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.workers import decode_ahead


class Request(Protocol):
    """What a worker is asked to decode."""

    @property
    def path(self) -> Path:
        """The file, or the folder of frames."""


class Decoded(Protocol):
    """What a worker has decoded: the rows of one video, and why they may be wrong."""

    @property
    def arrays(self) -> Rows:
        """The video's rows of every array of the schema."""

    @property
    def suspect(self) -> str | None:
        """Why the rows may be wrong; None if nothing was noticed."""


class DecodingSettings(Protocol):
    """The settings of any stage that decodes."""

    @property
    def time_limit(self) -> float:
        """Seconds for one video."""

    @property
    def on_bad_video(self) -> Literal["record", "fail"]:
        """What is done about a video that cannot be decoded."""


def commit_decoded(
    writer: Writer,
    read: Callable[[Any], Decoded],
    requests: Mapping[str, Request],
    settings: DecodingSettings,
    section: str,
    threads: int,
) -> None:
    """Decode and commit all remaining videos of a store.

    Args:
        writer: The store that is being made.
        read: Function that a worker calls with a request; it raises VideoError for a video that cannot be decoded.
        requests: The request of each video, by id.
        settings: How long a video may take, and what is done about one that cannot be decoded.
        section: What the settings are called in messages, such as `sampling`.
        threads: Number of videos that are decoded at a time, each in a process of its own.

    Raises:
        PipelineError: if a video cannot be decoded and `on_bad_video` is `fail`.
    """

    def decoded(ids: Sequence[str]) -> Outcomes:
        todo = [requests[video_id] for video_id in ids]
        with decode_ahead(read, todo, threads, settings.time_limit) as results:
            for video_id, result in zip(ids, results, strict=True):
                if not isinstance(result, VideoError):
                    yield VideoRows(result.arrays, result.suspect)
                elif settings.on_bad_video == "record":
                    yield result
                else:
                    raise PipelineError(
                        f"{requests[video_id].path} (video {video_id}): {result}; remove it, or set "
                        f"`on_bad_video: record` in the {section} to go on without it"
                    ) from result

    videos_together(writer, {}, decoded)
