"""Compute maps of an encoder before it pools, around the sampled frames, resized to one size for every clip.

Windows are those of `extract_i3d`: all that hold a sampled frame, in their order. The encoder is I3D, or a recognizer
that an experiment has trained.

Shapes: W windows of a clip, S steps of a window's map, H rows, W columns (in `_HWC`), C channels.
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.artifact import create, read
from pipeline.artifact.each_video import Outcomes, Rows, VideoRows, fits_half, videos_together
from pipeline.artifact.video_table import read_clips
from pipeline.config import EncoderSettings, I3dSettings, MapsSettings
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.workers import decode_ahead
from pipeline.models.i3d import load_i3d
from pipeline.models.map_alignment import align, require_small, rounded, step_frames
from pipeline.models.map_encoding import MapEncoder, i3d_maps
from pipeline.models.motion_encoding import encode_across, noting
from pipeline.models.motion_windows import Plan, plan_windows
from pipeline.recognition.map_windows import recognizer_maps
from pipeline.schemas import FRAMES, MAPS
from pipeline.video.windows import read_window_frames


def run(
    *,
    videos: Path,
    frames: Path,
    weights: Path,
    experts: list[Path],
    out: Path,
    settings: MapsSettings,
    encoder: EncoderSettings,
    window: int,
    time_limit: float,
    threads: int,
    decoders: int,
) -> None:
    """Store the maps of every clip of a shard.

    Args:
        videos: Video table of the shard (JSON).
        frames: The shard's sampled frames (FRAMES).
        weights: The weights of I3D, or the model of a trained recognizer (safetensors).
        experts: The files of the spatial and the temporal expert of a cast recognizer; nothing for others.
        out: Where the shard's maps (MAPS) go.
        settings: The size that maps are resized to, and how they are rounded.
        encoder: What the encoder is.
        window: Number of frames in a window.
        time_limit: Seconds that decoding one video may take.
        threads: CPU threads of the network.
        decoders: Number of processes that decode videos ahead of the network.

    Raises:
        PipelineError: Frames and video table are not of the same videos, an input cannot be read, or the maps of a clip
            would take more than 1 MiB.
    """
    torch.set_num_threads(threads)
    clips = read_clips(videos)
    sampled = read(frames, FRAMES)
    if set(clips) != {*sampled.ids, *sampled.failed}:
        raise PipelineError(f"{frames} is not of the videos in {videos}: run decode_frames again")
    encoding = make_encoding(encoder, weights, experts, window)
    plan_of = plan_windows(sampled, window)
    inputs = {"videos": videos, "frames": frames, "weights": weights}
    inputs |= dict(zip(("spatial", "temporal"), experts, strict=False))
    provenance = {"maps": settings.model_dump(mode="json"), "encoder": encoder.model_dump(mode="json")}
    given = provenance | {"window": window, "time_limit": time_limit}
    with create(out, MAPS, ids=list(clips), stage="extract_maps", settings=given, inputs=inputs) as writer:

        def encoded(ids: Sequence[str]) -> Outcomes:
            shown = {video_id: sampled.video(video_id, ["number", "time", "size"]) for video_id in ids}
            sizes = {video_id: tuple(rows["size"][0].tolist()) for video_id, rows in shown.items()}
            requests = [
                plan_of[video_id].request(clips[video_id], window, encoding.size_of(*sizes[video_id]))
                for video_id in ids
            ]
            suspect: deque[str | None] = deque()
            with decode_ahead(read_window_frames, requests, decoders, time_limit) as decoded:
                cut = (
                    found if isinstance(found, VideoError) else encoding.cut(found)
                    for found in noting(decoded, suspect)
                )
                for video_id, maps in zip(ids, encode_across(cut, encoding.encode, encoding.at_once), strict=True):
                    why = suspect.popleft()
                    if isinstance(maps, VideoError):
                        yield maps
                    elif fits_half(maps):
                        rows = rows_of(maps, plan_of[video_id], shown[video_id], window, settings)
                        seen = np.array([encoding.seen(*sizes[video_id])], np.float32)
                        yield VideoRows(rows | {"seen": seen}, why)
                    else:
                        yield VideoError("the encoder gave numbers that are not finite or beyond half precision")

        videos_together(writer, sampled.failed, encoded)


def make_encoding(encoder: EncoderSettings, weights: Path, experts: Sequence[Path], window: int) -> MapEncoder:
    """Make the encoder of maps: I3D, or a recognizer that an experiment has trained."""
    if isinstance(encoder, I3dSettings):
        return i3d_maps(load_i3d(weights), encoder, window)
    return recognizer_maps(weights, experts, window)


def rows_of(
    maps_WSHWC: NDArray[np.float32], plan: Plan, shown: Rows, window: int, settings: MapsSettings
) -> dict[str, NDArray[np.float16] | NDArray[np.float32]]:
    """Make a clip's rows of the artifact, but for what of the frame is seen.

    Args:
        maps_WSHWC: The maps of its windows.
        plan: Where these windows are.
        shown: `number` and `time` of its sampled frames.
        window: Frames of a window.
        settings: The size that maps are resized to, and how they are rounded.

    Raises:
        PipelineError: The maps would take more than 1 MiB.
    """
    size, steps = settings.align_size, maps_WSHWC.shape[1]
    require_small(size, maps_WSHWC.shape[-1], settings.bits)
    aligned = align(maps_WSHWC.reshape(-1, *maps_WSHWC.shape[2:]), size)
    middle = step_frames(plan.starts, window, steps, size[0])
    # Beyond the first and the last sampled frame, whose times are known, a step has the time of that frame.
    time = np.interp(middle, shown["number"], shown["time"]).astype(np.float32)
    return {"map": rounded(aligned, settings.bits), "time": time}
