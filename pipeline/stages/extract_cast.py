"""Compute motion features by a trained CAST: for each sampled frame the vectors of the window that it lies in.

Windows are those of `extract_i3d`, so that the features stand in the place of I3D's. A window that several frames share
is decoded and computed once. The features are the normed vectors of the spatial and of the temporal stream, side by
side, as the recognizer's heads see them.

Shapes: F sampled frames, B windows of a video, C features.
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.artifact import Artifact, create, read
from pipeline.artifact.each_video import Outcomes, VideoRows, fits_half, videos_together
from pipeline.artifact.video_table import read_clips
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.workers import decode_ahead
from pipeline.models.motion_encoding import BATCH_SIZE, encode_across, noting, windows_at_once
from pipeline.models.motion_windows import plan_windows
from pipeline.models.precision import compute_device
from pipeline.recognition.cast_file import read_cast
from pipeline.recognition.cast_motion import CastWindows, make_cast_encoder
from pipeline.schemas import FRAMES, MOTION
from pipeline.video.windows import read_window_frames


def run(
    videos: Path,
    frames: Path,
    model: Path,
    experts: list[Path],
    out: Path,
    window: int,
    time_limit: float,
    threads: int,
    decoders: int,
) -> None:
    """Compute CAST's vectors of the windows around the sampled frames.

    Args:
        videos: Video table of the shard (JSON).
        frames: The shard's sampled frames (FRAMES).
        model: A trained recognizer of kind cast (safetensors).
        experts: The weights of its spatial and of its temporal expert.
        out: Where the shard's motion (MOTION) goes.
        window: Number of frames in a window.
        time_limit: Seconds that decoding one video may take.
        threads: CPU threads of the network.
        decoders: Number of processes that decode videos ahead of the network.

    Raises:
        PipelineError: Frames and video table are not of the same videos, or an input cannot be read.
    """
    torch.set_num_threads(threads)
    clips = read_clips(videos)
    sampled = read(frames, FRAMES)
    if set(clips) != {*sampled.ids, *sampled.failed}:
        raise PipelineError(f"{frames} is not of the videos in {videos}: run decode_frames again")
    trained = read_cast(model, experts)
    encode = make_cast_encoder(trained.model, trained.settings.training.precision)
    seen = CastWindows(trained.settings, window)
    # Not the views' `batch_size`, which decides no weights, so that the model's file does not know it.
    at_once = windows_at_once(BATCH_SIZE, trained.settings.views.size, trained.settings.frames.number, compute_device())
    inputs = {"videos": videos, "frames": frames, "model": model}
    inputs |= dict(zip(("spatial", "temporal"), experts, strict=True))
    plan_of, sizes = plan_windows(sampled, window), sizes_of(sampled)
    provenance = {"window": window, "time_limit": time_limit}
    with create(out, MOTION, ids=list(clips), stage="extract_cast", settings=provenance, inputs=inputs) as writer:

        def encoded(ids: Sequence[str]) -> Outcomes:
            requests = [
                plan_of[video_id].request(clips[video_id], window, seen.size_of(*sizes[video_id])) for video_id in ids
            ]
            suspect: deque[str | None] = deque()
            with decode_ahead(read_window_frames, requests, decoders, time_limit) as decoded:
                cut = (
                    found if isinstance(found, VideoError) else seen.cut(found) for found in noting(decoded, suspect)
                )
                features = encode_across(cut, encode, at_once)
                for video_id, outcome in zip(ids, features, strict=True):
                    why = suspect.popleft()
                    if isinstance(outcome, VideoError):
                        yield outcome
                    elif fits_half(outcome):
                        yield VideoRows(plan_of[video_id].rows(outcome), why)
                    else:
                        yield VideoError("CAST gave numbers that are not finite or beyond half precision")

        videos_together(writer, sampled.failed, encoded)


def sizes_of(sampled: Artifact) -> dict[str, tuple[int, int]]:
    """Height and width of the sampled frames of every video, which have the proportions of its own."""
    sizes = sampled.array("size").tolist()
    return {video_id: (height, width) for video_id, (height, width) in zip(sampled.ids, sizes, strict=True)}
