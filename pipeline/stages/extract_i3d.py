"""Compute motion features: for each sampled frame one I3D vector of the window of frames that it lies in.

Frame numbers come from the frames artifact, so nodes and motion belong to the same frames. A window that several frames
share is decoded and computed once. The features are the average-pooled output of Mixed_5c (Carreira and Zisserman 2017,
as in pytorch-i3d's `extract_features`), always in evaluation mode.

Shapes: F sampled frames, B windows of a video, C features.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.artifact import Artifact, create, read
from pipeline.artifact.each_video import Outcomes, Rows, VideoRows, videos_together
from pipeline.artifact.video_table import Clip, read_clips
from pipeline.config import I3dSettings
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.workers import decode_ahead
from pipeline.models.i3d import load_i3d
from pipeline.models.motion_encoding import BATCH_SIZE, encode_across, make_encoder, noting, windows_at_once
from pipeline.models.precision import compute_device
from pipeline.schemas import FRAMES, MOTION
from pipeline.video.windows import WindowRequest, read_window_frames, window_starts


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


@dataclass(frozen=True)
class Plan:
    """The windows of a clip that are needed.

    Attributes:
        num_frames: Number of frames of the clip.
        starts: First frame of each window, ascending, each once [B].
        frame_window: For each sampled frame, the position of its window in `starts` [F].
    """

    num_frames: int
    starts: tuple[int, ...]
    frame_window: NDArray[np.intp]

    def request(self, clip: Clip, window: int, size: int) -> WindowRequest:
        """Ask for the windows of a clip, of `window` frames each, cut to squares of `size` pixels."""
        return WindowRequest(clip.file, self.num_frames, self.starts, window, size, clip.interval)

    def rows(self, features_BC: NDArray[np.float32]) -> Rows:
        """Make the artifact's rows, one for each sampled frame, from the features of the windows."""
        window_start = np.array(self.starts, dtype=np.int32)[self.frame_window]
        return {"motion": features_BC[self.frame_window], "window_start": window_start}


def plan_windows(sampled: Artifact, window: int) -> dict[str, Plan]:
    """Plan the windows of `window` frames of every video whose frames could be sampled; returns plans by id."""
    ptr, number, num_frames = sampled.ptr("frame"), sampled.array("number"), sampled.array("num_frames")
    plans = {}
    for row, video_id in enumerate(sampled.ids):
        starts_F = window_starts(number[ptr[row] : ptr[row + 1]], int(num_frames[row]), window)
        starts, frame_window = np.unique(starts_F, return_inverse=True)
        plans[video_id] = Plan(int(num_frames[row]), tuple(starts.tolist()), frame_window)
    return plans
