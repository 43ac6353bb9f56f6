"""Sample frames of every clip by their true time stamps.

Worker processes (`pipeline.jobs.workers`) decode the videos, each by `pipeline.video.frame_sampling`.
"""

from pathlib import Path

from pipeline.artifact import create
from pipeline.artifact.decoded_videos import commit_decoded
from pipeline.artifact.video_table import read_clips
from pipeline.config import SamplingSettings
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
        commit_decoded(writer, read_sampled_frames, requests, settings, "sampling", threads)
