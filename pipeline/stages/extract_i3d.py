"""Compute motion features: for each sampled frame one I3D vector of the window of frames that it lies in.

Frame numbers come from the frames artifact, so nodes and motion belong to the same frames. A window that several frames
share is decoded and computed once. The features are the average-pooled output of Mixed_5c (Carreira and Zisserman 2017,
as in pytorch-i3d's `extract_features`), always in evaluation mode.

Shapes: F sampled frames, B windows of a video, C features.
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.artifact import create, read
from pipeline.artifact.each_video import Outcomes, VideoRows, videos_together
from pipeline.artifact.video_table import read_clips
from pipeline.config import I3dSettings
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.workers import decode_ahead
from pipeline.models.i3d import load_i3d
from pipeline.models.motion_encoding import BATCH_SIZE, encode_across, make_encoder, noting, windows_at_once
from pipeline.models.motion_windows import plan_windows
from pipeline.models.precision import compute_device
from pipeline.schemas import FRAMES, MOTION
from pipeline.video.windows import read_window_frames


def run(
    videos: Path,
    frames: Path,
    weights: Path,
    out: Path,
    settings: I3dSettings,
    window: int,
    time_limit: float,
    threads: int,
    decoders: int,
) -> None:
    """Compute I3D features of the windows around the sampled frames.

    Args:
        videos: Video table of the shard (JSON).
        frames: The shard's sampled frames (FRAMES).
        weights: The encoder's `weights.safetensors`.
        out: Where the shard's motion (MOTION) goes.
        settings: Precision and input size of the encoder.
        window: Number of frames in a window (16 as published).
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
    encode = make_encoder(load_i3d(weights), settings.precision)
    at_once = windows_at_once(BATCH_SIZE, settings.size, window, compute_device())
    inputs = {"videos": videos, "frames": frames, "weights": weights}
    plan_of = plan_windows(sampled, window)
    provenance = {**settings.model_dump(mode="json"), "window": window, "time_limit": time_limit}
    with create(out, MOTION, ids=list(clips), stage="extract_i3d", settings=provenance, inputs=inputs) as writer:

        def encoded(ids: Sequence[str]) -> Outcomes:
            plans = [plan_of[video_id] for video_id in ids]
            requests = [
                plan.request(clips[video_id], window, settings.size) for video_id, plan in zip(ids, plans, strict=True)
            ]
            suspect: deque[str | None] = deque()
            with decode_ahead(read_window_frames, requests, decoders, time_limit) as decoded:
                features = encode_across(noting(decoded, suspect), encode, at_once)
                for plan, outcome in zip(plans, features, strict=True):
                    why = suspect.popleft()
                    yield outcome if isinstance(outcome, VideoError) else VideoRows(plan.rows(outcome), why)

        videos_together(writer, sampled.failed, encoded)
