"""Keep every frame of every clip for random access, each as a JPEG of its own or as pixels.

Worker processes (`pipeline.jobs.workers`) decode the clips, each by `pipeline.video.clip_encoding`.
"""

from pathlib import Path

from pipeline.artifact import create
from pipeline.artifact.decoded_videos import commit_decoded
from pipeline.artifact.video_table import read_clips
from pipeline.config import ClippingSettings
from pipeline.errors import PipelineError
from pipeline.schemas import CLIPS
from pipeline.video.clip_encoding import ClipRequest, read_clip


def run(videos: Path, out: Path, settings: ClippingSettings, threads: int) -> None:
    """Decode the frames of one shard of clips, and encode each.

    Args:
        videos: The shard's video table.
        out: Where the clips (CLIPS) go.
        settings: Which frames are kept, at what size and how, and what happens to a clip that cannot be decoded.
        threads: Number of clips that are decoded at a time, each in a process of its own.

    Raises:
        PipelineError: if a clip cannot be decoded and `on_bad_video` is `fail`, or the clipping gives a rate and a clip
            is a folder of frames.
    """
    clips = read_clips(videos)
    of_folders = [clip.id for clip in clips.values() if clip.is_folder]
    if of_folders and settings.fps is not None:
        raise PipelineError(
            f"{videos}: clip {of_folders[0]} is a folder of frames, which has no times: set `fps: null` in the clipping"
        )
    quality = settings.quality if settings.codec == "jpeg" else None
    requests = {
        clip.id: ClipRequest(
            clip.file,
            clip.size,
            settings.fps,
            settings.max_frames,
            settings.short_side,
            quality,
            clip.interval,
            clip.frames,
        )
        for clip in clips.values()
    }
    with create(
        out, CLIPS, ids=list(requests), stage="decode_clips", settings=settings, inputs={"videos": videos}
    ) as writer:
        commit_decoded(writer, read_clip, requests, settings, "clipping", threads)
