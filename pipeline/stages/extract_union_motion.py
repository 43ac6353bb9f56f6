"""Compute motion features of pairs of nodes: for each edge within a frame one I3D vector of its two nodes' union box.

In the paper (Hendria et al., "Action Knowledge for Video Captioning with Graph Neural Networks", JKSUCIS 2023, section
3.2) the edge between two nodes tells how that part of the picture moves. No published code computes it: published code
describes the whole frame, as `extract_i3d` does. Here the frames of the window are cut to the smallest box around both
nodes (around the one node, for its edge with itself) and go through the same network, normalised alike.

Whole frames are scaled to the size that the sampled frames are stored at, boxes are rounded to their pixels, and each
box of a window is computed once, however many edges and frames share it. A cut is warped to the network's square input
whatever its shape, as R-CNN warps its regions (Girshick et al., CVPR 2014, appendix A): cutting the middle out would
lose one of the two nodes, and padding would show the network borders that it never saw in training.

Shapes: N nodes, E edges, F sampled frames, P pairs (box of a sampled frame), C cuts (box of a window) or, after H and
W, colours, T frames of a window, H height, W width, S side of the network's input. 5 is a frame number and a box.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from pipeline.artifact import Artifact, create, read
from pipeline.artifact.each_video import Outcomes, VideoRows, missing, videos_together
from pipeline.artifact.video_table import Clip, read_clips
from pipeline.config import I3dSettings
from pipeline.errors import PipelineError, VideoError
from pipeline.jobs.workers import decode_ahead
from pipeline.models.i3d import FEATURE_DIM, load_i3d
from pipeline.models.motion_encoding import BATCH_SIZE, encode_across, make_encoder, noting, windows_at_once
from pipeline.models.precision import compute_device
from pipeline.schemas import FRAMES, NODES, PAIR_MOTION, SPATIAL_GRAPHS
from pipeline.video.windows import WindowFrames, WindowRequest, Windows, read_window_frames, window_starts

Rows = Mapping[str, NDArray[Any]]


def run(
    videos: Path,
    frames: Path,
    nodes: Path,
    spatial: Path,
    weights: Path,
    out: Path,
    settings: I3dSettings,
    window: int,
    time_limit: float,
    threads: int,
    decoders: int,
) -> None:
    """Compute I3D features of the boxes around two nodes.

    Args:
        videos: Video table of the shard (JSON).
        frames: The shard's sampled frames (FRAMES).
        nodes: The shard's nodes (NODES), made from these frames.
        spatial: The shard's edges within frames (SPATIAL_GRAPHS), made from these nodes.
        weights: The encoder's `weights.safetensors`.
        out: Where the shard's motion of pairs (PAIR_MOTION) goes.
        settings: Precision and input size of the encoder.
        window: Number of frames in a window (16 as published).
        time_limit: Seconds that decoding one video may take.
        threads: CPU threads of the network.
        decoders: Number of processes that decode videos ahead of the network.

    Raises:
        PipelineError: An artifact is not of the videos in the table, or an input cannot be read.
    """
    torch.set_num_threads(threads)
    clips = read_clips(videos)
    shard = Shard(read(frames, FRAMES), read(nodes, NODES), read(spatial, SPATIAL_GRAPHS), window)
    shard.check(clips, videos)
    encode = make_encoder(load_i3d(weights), settings.precision)
    at_once = windows_at_once(BATCH_SIZE, settings.size, window, compute_device())
    inputs = {"videos": videos, "frames": frames, "nodes": nodes, "spatial": spatial, "weights": weights}
    made_with = {**settings.model_dump(mode="json"), "window": window, "time_limit": time_limit}
    with create(
        out, PAIR_MOTION, ids=list(clips), stage="extract_union_motion", settings=made_with, inputs=inputs
    ) as writer:

        def encoded(ids: Sequence[str]) -> Outcomes:
            plans = {video_id: shard.plan(video_id) for video_id in ids}
            wanted = {i: plan for i, plan in plans.items() if isinstance(plan, Plan) and len(plan.cuts_C5)}
            requests = [plan.request(clips[video_id]) for video_id, plan in wanted.items()]
            suspect: deque[str | None] = deque()
            with decode_ahead(read_window_frames, requests, decoders, time_limit) as decoded:
                cuts = (
                    found if isinstance(found, VideoError) else Cuts(found, plan, settings.size)
                    for found, plan in zip(noting(decoded, suspect), wanted.values(), strict=True)
                )
                features = encode_across(cuts, encode, at_once)
                for video_id, plan in plans.items():
                    outcome = next(features) if video_id in wanted else np.zeros((0, FEATURE_DIM))
                    why = suspect.popleft() if video_id in wanted else None
                    if isinstance(plan, VideoError):
                        yield plan
                    elif isinstance(outcome, VideoError):
                        yield outcome
                    else:
                        yield VideoRows({"motion": outcome[plan.pair_cut_P], **plan.rows()}, why)

        videos_together(writer, missing([shard.frames, shard.nodes, shard.spatial]), encoded)


@dataclass(frozen=True)
class Plan:
    """The cuts of a video that are needed, and the pairs and edges that they are for.

    Attributes:
        num_frames: Number of frames of the clip.
        window: Number of frames of a window.
        size_hw: Height and width in pixels that the clip's frames are scaled to.
        cuts_C5: First frame of the window, then left, top, right and bottom of the box in pixels, ends exclusive; each
            cut once, in ascending order.
        pairs_P5: Number of the sampled frame, then the box likewise; each pair once, in ascending order.
        pair_cut_P: For each pair, the row of its cut in `cuts_C5`.
        edge_pair_E: For each edge of the spatial graph, in its order, the row of its pair in `pairs_P5`.
    """

    num_frames: int
    window: int
    size_hw: tuple[int, int]
    cuts_C5: NDArray[np.int32]
    pairs_P5: NDArray[np.int32]
    pair_cut_P: NDArray[np.int32]
    edge_pair_E: NDArray[np.int32]

    @property
    def starts(self) -> NDArray[np.int32]:
        """First frames of the windows, ascending, each once."""
        return np.unique(self.cuts_C5[:, 0])

    def request(self, clip: Clip) -> WindowRequest:
        """Ask for the windows of the clip, with whole frames scaled to `size_hw`."""
        starts = tuple(self.starts.tolist())
        return WindowRequest(clip.file, self.num_frames, starts, self.window, self.size_hw, clip.interval)

    def rows(self) -> dict[str, NDArray[Any]]:
        """Make all of the artifact's rows but the motion: `box` [P, 4], `pair_frame` [P] and `edge_pair` [E]."""
        height, width = self.size_hw
        return {
            "box": self.pairs_P5[:, 1:] / np.array([width, height, width, height]),
            "pair_frame": self.pairs_P5[:, 0],
            "edge_pair": self.edge_pair_E,
        }


@dataclass(frozen=True)
class Shard:
    """The inputs that a shard's plans are made from.

    Attributes:
        frames: The sampled frames.
        nodes: Their nodes.
        spatial: The edges within frames.
        window: Number of frames of a window.
    """

    frames: Artifact
    nodes: Artifact
    spatial: Artifact
    window: int

    def check(self, video_ids: Collection[str], table: Path) -> None:
        """Check that every artifact is of the videos of the table.

        Args:
            video_ids: Ids of the videos in the table.
            table: Path of the video table, for the message.

        Raises:
            PipelineError: An artifact is of other videos.
        """
        for artifact in (self.frames, self.nodes, self.spatial):
            if set(video_ids) != {*artifact.ids, *artifact.failed}:
                raise PipelineError(
                    f"{artifact.store} is not of the videos in {table}: run {artifact.schema.stage} again"
                )

    def plan(self, video_id: str) -> Plan | VideoError:
        """Plan a video that all the artifacts hold; returns the VideoError where its artifacts do not fit together."""
        frames = self.frames.video(video_id, ["number", "size", "num_frames"])
        nodes = self.nodes.video(video_id, ["box", "node_frame", "frame_time"])
        edges = self.spatial.video(video_id)
        try:
            return plan_video(frames, nodes, edges, self.window)
        except VideoError as error:
            return error


def plan_video(frames: Rows, nodes: Rows, edges: Rows, window: int) -> Plan:
    """Find the pairs and cuts of a video.

    Args:
        frames: `number` `[F]`, `size` `[1, 2]` and `num_frames` `[1]`.
        nodes: `box` `[N, 4]`, `node_frame` `[N]` and `frame_time` `[F]`.
        edges: `source` and `target` `[E]` of the edges within frames.
        window: Number of frames of a window.

    Raises:
        VideoError: if frames, nodes and edges do not belong together.
    """
    if len(nodes["frame_time"]) != len(frames["number"]):
        raise VideoError(
            f"nodes have {len(nodes['frame_time'])} frames, {len(frames['number'])} were sampled, expected equally "
            "many: run the nodes again from the same frames"
        )
    frame_N = nodes["node_frame"].astype(np.int64)
    source_E, target_E = edges["source"], edges["target"]
    largest = max(source_E.max(initial=-1), target_E.max(initial=-1))
    if largest >= len(frame_N) or np.any(frame_N[source_E] != frame_N[target_E]):
        raise VideoError(
            f"spatial_graphs do not fit the {len(frame_N)} nodes: run build_spatial_graphs again from these nodes"
        )
    num_frames = int(frames["num_frames"][0])
    height, width = (int(length) for length in frames["size"][0])
    box_N4 = pixel_boxes(nodes["box"], height, width)
    edges_E5 = np.column_stack([frame_N[source_E], union_boxes(box_N4[source_E], box_N4[target_E])])
    pairs_P5, edge_pair_E = np.unique(edges_E5, axis=0, return_inverse=True)
    start_F = window_starts(frames["number"], num_frames, window)
    cuts_C5, pair_cut_P = np.unique(
        np.column_stack([start_F[pairs_P5[:, 0]], pairs_P5[:, 1:]]), axis=0, return_inverse=True
    )
    small = [array.astype(np.int32) for array in (cuts_C5, pairs_P5, pair_cut_P.ravel(), edge_pair_E.ravel())]
    return Plan(num_frames, window, (height, width), *small)


def pixel_boxes(box_N4: NDArray[Any], height: int, width: int) -> NDArray[np.int64]:
    """Round boxes to pixels, ends exclusive; each covers at least one pixel of the frame.

    Args:
        box_N4: Left, top, right, bottom in [0, 1] of the frame.
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.

    Returns:
        Left, top, right, bottom in pixels [N, 4].
    """
    size = np.array([width, height])
    box_N4 = np.rint(box_N4.astype(np.float64) * np.tile(size, 2)).astype(np.int64)
    first_N2 = np.clip(box_N4[:, :2], 0, size - 1)
    return np.column_stack([first_N2, np.clip(box_N4[:, 2:], first_N2 + 1, size)])


def union_boxes(box_E4: NDArray[np.int64], other_E4: NDArray[np.int64]) -> NDArray[np.int64]:
    """Compute the smallest box around each box and the other one in its row, [E, 4]."""
    first_E2 = np.minimum(box_E4[:, :2], other_E4[:, :2])
    return np.column_stack([first_E2, np.maximum(box_E4[:, 2:], other_E4[:, 2:])])


class Cuts:
    """The cuts of a video: windows cut to boxes and warped, u1 [T, S, S, 3] each, in the order of the plan.

    Each is made when it is asked for, because together they may be large: 36 boxes in each of 20 windows of 16 frames
    are 1.7 GB at 224 pixels.
    """

    def __init__(self, decoded: WindowFrames, plan: Plan, size: int) -> None:
        self.decoded = decoded
        self.plan = plan
        self.size = size

    def __len__(self) -> int:
        return len(self.plan.cuts_C5)

    def __iter__(self) -> Iterator[Windows]:
        cuts_C5 = self.plan.cuts_C5
        for start, rows_T in zip(self.plan.starts, self.decoded.rows_WT, strict=True):
            frames_THWC = self.decoded.frames[rows_T]
            for left, top, right, bottom in cuts_C5[cuts_C5[:, 0] == start, 1:].tolist():
                yield warp(frames_THWC[:, top:bottom, left:right], self.size)


def warp(frames_THWC: Windows, size: int) -> Windows:
    """Scale frames to squares u1 [T, size, size, 3], bilinear with antialiasing; frames of that size stay the same."""
    x_TCHW = torch.from_numpy(frames_THWC).permute(0, 3, 1, 2)
    x_TCSS = F.interpolate(x_TCHW, (size, size), mode="bilinear", antialias=True)
    return np.ascontiguousarray(x_TCSS.permute(0, 2, 3, 1).numpy())
