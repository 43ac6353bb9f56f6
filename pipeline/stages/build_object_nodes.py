"""Find the objects of each sampled frame and describe them, by the detector's features or by CLIP4Clip.

These are the object nodes of "Action Knowledge for Video Captioning with Graph Neural Networks" (Hendria et al., 2023,
section 3.1), found by any detection model of torchvision. Their boxes, classes and scores are kept. A frame in which
nothing is found has no nodes.

Shapes: F frames, N objects of a frame or of a video, C channels, H height, W width, D features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.artifact import Artifact, create, read
from pipeline.artifact.each_video import Rows, as_features, videos_together
from pipeline.config import Clip4ClipSettings, DetectorSettings, ObjectNodesSettings
from pipeline.errors import PipelineError
from pipeline.models.clip4clip import Clip4Clip, load_clip4clip, square_of_shorter_side
from pipeline.models.crop_embedding import embed, for_images
from pipeline.models.detection import Objects, find_in_videos
from pipeline.models.detector import load_detector
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.schemas import FRAMES, NODES
from pipeline.video.stored_frames import central_square, frames_of

VIDEOS_AT_ONCE = 16  # videos in a group, whose frames go through the detector together


@dataclass(frozen=True)
class Sight:
    """The networks that look at frames, and what they look for.

    Attributes:
        settings: Region, number and score of the objects, and their feature.
        model: The detector.
        size: Shorter side to which the detector resizes frames, in pixels.
        dtype: Type of the detector's matrix products.
        tower: CLIP4Clip, or None where nodes have the detector's own features.
        tower_dtype: Type of the matrix products of `tower`.
    """

    settings: ObjectNodesSettings
    model: nn.Module
    size: int
    dtype: torch.dtype
    tower: Clip4Clip | None
    tower_dtype: torch.dtype


def run(
    *,
    frames: Path,
    weights: Path,
    encoder_weights: list[Path],
    out: Path,
    settings: ObjectNodesSettings,
    detector: DetectorSettings,
    encoder: Clip4ClipSettings | None,
    threads: int,
) -> None:
    """Find and describe the objects in every frame of a shard.

    Args:
        frames: The shard's sampled frames (FRAMES).
        weights: The detector's `weights.safetensors`.
        encoder_weights: The encoder's `weights.safetensors` where `feature` is clip; nothing where it is backbone.
        out: Where the shard's nodes (NODES) go.
        settings: Region, number and score of the objects, and their feature.
        detector: Architecture, size and precision of the detector.
        encoder: Architecture and precision of the encoder; null where `feature` is backbone.
        threads: CPU threads of the networks.

    Raises:
        PipelineError: The weights are of another architecture, the frames cannot be read, `feature: clip` comes
            without an encoder and its weights, or `feature: backbone` with one.
    """
    torch.set_num_threads(threads)
    if not (settings.feature == "clip") == (encoder is not None) == (len(encoder_weights) == 1):
        raise PipelineError("`feature: clip` needs one encoder and its weights, and `feature: backbone` none")
    source = read(frames, FRAMES)
    device = compute_device()
    tower_dtype = announced_dtype(encoder.precision, device, "the encoder") if encoder else torch.float32
    see = Sight(
        settings=settings,
        model=load_detector(weights, detector.arch, detector.size)[0].to(device),
        size=detector.size,
        dtype=announced_dtype(detector.precision, device, "the detector"),
        tower=for_images(load_clip4clip(encoder_weights[0], encoder.arch).to(device), tower_dtype) if encoder else None,
        tower_dtype=tower_dtype,
    )
    made_with = {
        "nodes": settings.model_dump(mode="json"),
        "detector": detector.model_dump(mode="json", include={"arch", "size", "precision"}),
        "encoder": encoder and encoder.model_dump(mode="json", include={"arch", "precision"}),
    }
    inputs = {"frames": frames, "weights": weights}
    if encoder:
        inputs["encoder_weights"] = encoder_weights[0]
    ids = [*source.ids, *source.failed]
    with create(out, NODES, ids=ids, stage="build_object_nodes", settings=made_with, inputs=inputs) as writer:
        videos_together(writer, source.failed, lambda ids: as_features(describe_videos(source, ids, see)))


def describe_videos(source: Artifact, wanted: Sequence[str], see: Sight) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """Describe videos in fixed groups, so that a resumed run computes the same batches as an uninterrupted one.

    Args:
        source: The frames artifact.
        wanted: Ids of the videos to yield; a group that holds one of them is computed whole.
        see: The networks, and what they look for.

    Yields:
        For each wanted video, in the artifact's order, the rows of its nodes and their features [N, D].
    """
    left = set(wanted)
    for start in range(0, len(source.ids), VIDEOS_AT_ONCE):
        group = source.ids[start : start + VIDEOS_AT_ONCE]
        if left.isdisjoint(group):
            continue
        videos = [source.video(video_id, ["pixels", "size", "time"]) for video_id in group]
        for video_id, described in zip(group, describe_group(videos, see), strict=True):
            if video_id in left:
                yield described


def describe_group(videos: Sequence[Rows], see: Sight) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
    """Find the nodes of some videos, and compute their features.

    Args:
        videos: For each video its rows `pixels`, `size` and `time` of the frames artifact.
        see: The networks, and what they look for.

    Returns:
        For each video, in order, the rows of its nodes and their features [N, D].
    """
    frames = [frames_of(video).permute(0, 3, 1, 2) for video in videos]
    places = [region_of(own.shape[-2], own.shape[-1], see.settings.region) for own in frames]
    regions = [own[..., y0:y1, x0:x1] for own, (x0, y0, x1, y1) in zip(frames, places, strict=True)]
    found = find_in_videos(see.model, regions, see.size, see.settings.max_objects, see.settings.score, see.dtype)
    shifted = [shift(objects, x0, y0) for objects, (x0, y0, _, _) in zip(found, places, strict=True)]
    nodes = [nodes_of(objects, own.shape[-2], own.shape[-1]) for objects, own in zip(shifted, frames, strict=True)]
    nodes = [own | {"frame_time": video["time"]} for own, video in zip(nodes, videos, strict=True)]
    if see.tower is None:
        features = [torch.cat([one.x_ND for one in objects]).numpy() for objects in found]
        return zip(nodes, features, strict=True)
    size = see.tower.image_size
    crops = (cut_objects(own, objects, size) for own, objects in zip(frames, shifted, strict=True))
    return embed(zip(nodes, crops, strict=True), see.tower, next(see.tower.parameters()).device, see.tower_dtype)


def region_of(height: int, width: int, region: str) -> tuple[int, int, int, int]:
    """Compute which part of a frame the detector sees, as pixel bounds (x0, y0, x1, y1) with exclusive ends.

    Args:
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.
        region: "frame" for all of it, "square" for its central square.
    """
    return central_square(height, width) if region == "square" else (0, 0, width, height)


def shift(objects: Sequence[Objects], left: int, top: int) -> list[Objects]:
    """Move objects that were found in a part of each frame to the coordinates of the whole frame.

    Args:
        objects: Objects of each frame.
        left: Left end of the part in pixels.
        top: Upper end of the part in pixels.
    """
    by_4 = torch.tensor([left, top, left, top])
    return [replace(one, box_N4=one.box_N4 + by_4) for one in objects]


def nodes_of(objects: Sequence[Objects], height: int, width: int) -> Rows:
    """Make the rows of a video's nodes, without their features and the times of the frames.

    Args:
        objects: Objects of each frame, in pixels of the whole frame.
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.

    Returns:
        `node_frame`, `label` and `score` [N], `box` [N, 4] in [0, 1] of the whole frame; frame after frame.
    """
    box_N4 = torch.cat([one.box_N4 for one in objects]) / torch.tensor([width, height, width, height])
    return {
        "node_frame": np.repeat(np.arange(len(objects)), [len(one.score_N) for one in objects]),
        "box": box_N4.clamp(0, 1).numpy(),
        "label": torch.cat([one.label_N for one in objects]).numpy(),
        "score": torch.cat([one.score_N for one in objects]).numpy(),
    }


def cut_objects(frames_FCHW: Tensor, objects: Sequence[Objects], size: int) -> Tensor:
    """Cut the objects out of a video's frames, and resize them.

    Args:
        frames_FCHW: The frames as bytes.
        objects: Objects of each frame, in pixels of the whole frame.
        size: Side of the tower's input in pixels.

    Returns:
        The objects as bytes [N, C, size, size], frame after frame.
    """
    height, width = frames_FCHW.shape[-2:]
    crops = [frames_FCHW.new_zeros((0, 3, size, size))]
    for frame_CHW, one in zip(frames_FCHW, objects, strict=True):
        for x0, y0, x1, y1 in square_bounds(one.box_N4.numpy(), height, width).tolist():
            crops.append(square_of_shorter_side(frame_CHW[None, :, y0:y1, x0:x1], size))
    return torch.cat(crops)


def square_bounds(box_N4: NDArray[np.floating[Any]], height: int, width: int) -> NDArray[np.int64]:
    """Compute the square around each box, because the tower takes squares and would lose the ends of a long object.

    The square has the longer side of the box and is moved into the frame. Where it is wider or higher than the frame,
    it is cut to the frame, and is no square any more.

    Args:
        box_N4: x0, y0, x1, y1 in pixels of the frame.
        height: Height of the frame in pixels.
        width: Width of the frame in pixels.

    Returns:
        Pixel bounds (x0, y0, x1, y1), ends exclusive, [N, 4].
    """
    start_N2, end_N2 = np.floor(box_N4[:, :2]), np.ceil(box_N4[:, 2:])
    side_N1 = np.maximum((end_N2 - start_N2).max(axis=1, keepdims=True), 1)
    limit_2 = np.array([width, height])
    side_N2 = np.minimum(side_N1, limit_2)
    corner_N2 = np.clip(np.floor((start_N2 + end_N2 - side_N2) / 2), 0, limit_2 - side_N2)
    return np.concatenate([corner_N2, corner_N2 + side_N2], axis=1).astype(np.int64)
