"""Sample frames of every clip by their true time stamps.

Worker processes (`pipeline.jobs.workers`) decode the videos, each by `pipeline.video.frame_sampling`.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.artifact import create
from pipeline.artifact.each_video import Outcomes, VideoRows, videos_together
from pipeline.artifact.video_table import read_clips
from pipeline.config import SamplingSettings
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.workers import decode_ahead
from pipeline.schemas import FRAMES
from pipeline.video.frame_sampling import FramesRequest, read_sampled_frames


def run(videos: Path, out: Path, settings: SamplingSettings, threads: int) -> None:
    """Decode the sampled frames of one shard of videos.

    Args:
        videos: The shard's video table.
        out: Where the sampled frames (FRAMES) go.
        settings: Which frames are sampled, at what size, and what happens to a video that cannot be decoded.
        threads: Number of videos that are decoded at a time, each in a process of its own.

    Raises:
        PipelineError: if a video cannot be decoded and `on_bad_video` is `fail`.
    """
    requests = {
        clip.id: FramesRequest(
            clip.file, clip.size, settings.fps, settings.max_frames, settings.short_side, clip.interval
        )
        for clip in read_clips(videos).values()
    }
    with create(
        out, FRAMES, ids=list(requests), stage="decode_frames", settings=settings, inputs={"videos": videos}
    ) as writer:

        def sampled(ids: Sequence[str]) -> Outcomes:
            todo = [requests[video_id] for video_id in ids]
            with decode_ahead(read_sampled_frames, todo, threads, settings.time_limit) as decoded:
                for video_id, result in zip(ids, decoded, strict=True):
                    if not isinstance(result, VideoError):
                        yield VideoRows(result.arrays, result.suspect)
                    elif settings.on_bad_video == "record":
                        yield result
                    else:
                        raise PipelineError(
                            f"{requests[video_id].path} (video {video_id}): {result}; remove it, or set "
                            "`on_bad_video: record` in the sampling to go on without it"
                        ) from result

        videos_together(writer, {}, sampled)
