"""Motion features: one I3D vector for each sampled frame, of the 16-frame window the frame lies in.

Frame numbers come from the frames artifact, so nodes and motion speak of the same frames. A window that several frames
share is decoded and computed once. The features are the average-pooled output of Mixed_5c (Carreira and Zisserman 2017,
as in pytorch-i3d's `extract_features`), never in training mode.

Shape suffixes: B window, T time, H height, W width, C colour or channel, F sampled frame.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline import gpus
from pipeline.artifact import Artifact, create, read, read_json
from pipeline.config import I3dSettings
from pipeline.decode_workers import decode_ahead
from pipeline.errors import PipelineError, VideoError
from pipeline.models.i3d import InceptionI3d, load_i3d, normalise
from pipeline.progress import track
from pipeline.schemas import FRAMES, MOTION
from pipeline.windows import WindowFrames, WindowRequest, Windows, paths_of, read_window_frames, window_starts

BATCH_SIZE = 16  # windows; more gain nothing on a CPU, and 16 of 224 pixels take about 2 GB in float32

Encode = Callable[[Windows], NDArray[np.float32]]


class WindowSeries(Protocol):
    """Windows u1 [T, H, W, C] of one video: an array, or something that makes each when it is asked for."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


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
        frames: Sampled frames of the same shard.
        weights: weights.safetensors of the encoder.
        out: Where the motion artifact is written.
        settings: The encoder.
        window: Frames of a window (16 as published).
        time_limit: Seconds that decoding one video may take.
        threads: Threads of the network on a CPU.
        decoders: Processes that decode videos ahead of it.
    """
    torch.set_num_threads(threads)
    paths = paths_of(read_json(videos, ["videos", "root"], "index_videos"))
    sampled = read(frames, FRAMES)
    if set(paths) != {*sampled.ids, *sampled.failed}:
        raise PipelineError(f"{frames} is not of the videos in {videos}: run decode_frames again")
    encode = make_encoder(load_i3d(weights), settings.precision)
    inputs = {"videos": videos, "frames": frames, "weights": weights}
    provenance = {**settings.model_dump(mode="json"), "window": window, "time_limit": time_limit}
    with create(out, MOTION, ids=list(paths), stage="extract_i3d", settings=provenance, inputs=inputs) as writer:
        todo = writer.remaining
        plans = plan_windows(sampled, window)
        requests = [
            WindowRequest(paths[video_id], plans[video_id].num_frames, plans[video_id].starts, window, settings.size)
            for video_id in todo
            if video_id in plans
        ]
        with decode_ahead(read_window_frames, requests, decoders, time_limit) as decoded:
            suspect: deque[str | None] = deque()
            features = encode_across(noting(decoded, suspect), encode, BATCH_SIZE)
            for video_id in track(todo, len(todo), "extract_i3d"):
                if video_id in sampled.failed:
                    writer.fail(video_id, sampled.failed[video_id])
                    continue
                outcome, why = next(features), suspect.popleft()
                if isinstance(outcome, VideoError):
                    writer.fail(video_id, str(outcome))
                    continue
                plan = plans[video_id]
                window_start = np.array(plan.starts, dtype=np.int32)[plan.frame_window]
                writer.append(video_id, why, motion=outcome[plan.frame_window], window_start=window_start)


@dataclass(frozen=True)
class Plan:
    """Which windows of a video are needed.

    Attributes:
        num_frames: Frames of the video.
        starts: First frame of each window, ascending, each once.
        frame_window: For each sampled frame, which of these windows is its own.
    """

    num_frames: int
    starts: tuple[int, ...]
    frame_window: NDArray[np.intp]


def plan_windows(sampled: Artifact, window: int) -> dict[str, Plan]:
    """The plan of every video whose frames could be sampled, by id."""
    ptr, number, num_frames = sampled.ptr("frame"), sampled.array("number"), sampled.array("num_frames")
    plans = {}
    for row, video_id in enumerate(sampled.ids):
        starts_F = window_starts(number[ptr[row] : ptr[row + 1]], int(num_frames[row]), window)
        starts, frame_window = np.unique(starts_F, return_inverse=True)
        plans[video_id] = Plan(int(num_frames[row]), tuple(starts.tolist()), frame_window)
    return plans


def make_encoder(model: InceptionI3d, precision: str) -> Encode:
    """A function from windows u1 [B, T, H, W, 3] to their features float32 [B, 1024].

    Args:
        model: With loaded weights; it is copied, and left as it is.
        precision: "fp32", "bf16" or "auto".
    """
    device = gpus.device()
    dtype = gpus.dtype(precision, device)
    network = model.folded().to(device, dtype, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def encode(windows_BTHWC: Windows) -> NDArray[np.float32]:
        with torch.inference_mode():
            x_BCTHW = normalise(torch.from_numpy(windows_BTHWC).to(device)).to(dtype)
            features_BC = network.extract_features(x_BCTHW).mean(dim=2).flatten(1)
            return np.asarray(features_BC.float().cpu().numpy())

    return encode


def noting(
    decoded: Iterable[WindowFrames | VideoError], suspect: deque[str | None]
) -> Iterator[WindowFrames | VideoError]:
    """The same, and set aside why each video is suspect: encoding yields them later, in the same order."""
    for outcome in decoded:
        suspect.append(None if isinstance(outcome, VideoError) else outcome.suspect)
        yield outcome


def encode_across(
    decoded: Iterable[WindowSeries | VideoError], encode: Encode, batch_size: int
) -> Iterator[NDArray[np.float32] | VideoError]:
    """Encode the windows of many videos in batches that run across videos.

    Every batch is full, the last one by repeating its last window: features then do not depend on where a run was
    interrupted.

    Args:
        decoded: For each video its windows, or why there are none.
        encode: From windows [batch_size, ...] to features [batch_size, 1024].
        batch_size: Windows in a batch.

    Yields:
        For each video, in order, the features of its windows, or why there are none.
    """
    videos: deque[int | VideoError] = deque()  # not yet yielded: number of windows, or the error
    windows: list[NDArray[np.uint8]] = []
    features: list[NDArray[np.float32]] = []
    for outcome in decoded:
        videos.append(outcome if isinstance(outcome, VideoError) else len(outcome))
        for window in [] if isinstance(outcome, VideoError) else outcome:
            windows.append(window)
            if len(windows) == batch_size:
                features.extend(encode(np.stack(windows)))
                windows.clear()
        yield from _complete(videos, features)
    if windows:
        padded = windows + windows[-1:] * (batch_size - len(windows))
        features.extend(encode(np.stack(padded))[: len(windows)])
    yield from _complete(videos, features)


def _complete(
    videos: deque[int | VideoError], features: list[NDArray[np.float32]]
) -> Iterator[NDArray[np.float32] | VideoError]:
    """Take off the queues the videos whose windows are all encoded."""
    while videos:
        video = videos[0]
        if isinstance(video, VideoError):
            yield video
        elif len(features) >= video:
            yield np.stack(features[:video])
            del features[:video]
        else:
            return
        videos.popleft()
