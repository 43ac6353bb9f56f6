"""Make one store from others, video by video: what nearly every stage does between reading and writing.

A video that an earlier stage left out is left out here for the same reason, and one that fails here is recorded and
stops no other. What was committed by a run that was killed is neither read nor computed again. Videos are committed in
the order of the store, one at a time, and counted in the job's log.

Shapes: N rows of a video (frames or nodes), D features.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact.reading import Artifact
from pipeline.artifact.writing import Writer
from pipeline.errors import VideoError
from pipeline.jobs.progress import track

Rows = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class VideoRows:
    """What a stage computed for one video.

    Attributes:
        arrays: The video's rows of every array of the schema, by the array's name.
        suspect: Why the rows may be wrong; None if nothing was noticed.
    """

    arrays: Rows
    suspect: str | None = None


Outcomes = Generator[VideoRows | VideoError, None, None]  # for each video in turn: its rows, or why it has none


def each_video(writer: Writer, failed: Mapping[str, str], compute: Callable[[str], Rows]) -> None:
    """Compute and commit all remaining videos of a store, each by itself.

    Args:
        writer: The store that is being made.
        failed: The reason for each video that cannot be computed, by id.
        compute: Function from a video's id to its rows. If it raises VideoError, that video is recorded as failed.

    Raises:
        PipelineError: as `Writer.append` does, and whatever else `compute` raises.
    """

    def one_by_one(ids: Sequence[str]) -> Outcomes:
        for video_id in ids:
            outcome: VideoRows | VideoError
            try:
                outcome = VideoRows(compute(video_id))
            except VideoError as error:
                outcome = error
            yield outcome

    videos_together(writer, failed, one_by_one)


def videos_together(writer: Writer, failed: Mapping[str, str], compute: Callable[[Sequence[str]], Outcomes]) -> None:
    """Commit all remaining videos of a store, which are computed several at a time or decoded ahead.

    Args:
        writer: The store that is being made.
        failed: The reason for each video that cannot be computed, by id.
        compute: A generator function: it gets the ids of the remaining videos that can be computed and yields, for each
            and in their order, the rows, or why there are none. It is closed when a commit fails.

    Raises:
        PipelineError: as `Writer.append` does, and whatever else `compute` raises.
        ValueError: if `compute` yields more or fewer outcomes than there are videos.
    """
    todo = writer.remaining
    ids = [video_id for video_id in todo if video_id not in failed]
    with closing(compute(ids)) as outcomes:
        of_each = zip(ids, outcomes, strict=True)
        for video_id in track(todo, len(todo), writer.stage, before=len(writer.ids) - len(todo)):
            if video_id in failed:
                writer.fail(video_id, failed[video_id])
                continue
            _, outcome = next(of_each)
            if isinstance(outcome, VideoError):
                writer.fail(video_id, str(outcome))
            else:
                writer.append(video_id, outcome.suspect, **outcome.arrays)
        next(of_each, None)  # runs `compute` to its end


def missing(artifacts: Iterable[Artifact]) -> dict[str, str]:
    """Find the videos that are not in all of the artifacts.

    Args:
        artifacts: The inputs of a stage, in the order in which the workflow makes them.

    Returns:
        The reason for each video that an input lacks, by id: the one that the first input to leave it out gives.
    """
    artifacts = list(artifacts)
    reasons: dict[str, str] = {}
    for artifact in artifacts:
        for video_id, reason in artifact.failed.items():
            reasons.setdefault(video_id, reason)
    everything = dict.fromkeys(video_id for artifact in artifacts for video_id in artifact.ids)
    for artifact in artifacts:
        for video_id in sorted(everything.keys() - set(artifact.ids)):
            reasons.setdefault(video_id, f"not in {artifact.schema.name}")
    return reasons


def as_features(described: Iterable[tuple[Rows, NDArray[np.float32]]]) -> Outcomes:
    """Add the features [N, D] of each video to its other rows, as the array `x`; VideoError if `x` cannot be stored."""
    for rows, x_ND in described:
        if fits_half(x_ND):
            yield VideoRows({**rows, "x": x_ND})
        else:
            yield VideoError("the encoder gave numbers that are not finite or beyond half precision")


def fits_half(x_ND: NDArray[np.float32]) -> bool:
    """Whether numbers can be stored in half precision: finite, and not beyond its range."""
    return bool((np.abs(x_ND) <= np.finfo(np.float16).max).all())  # false for NaN, too
