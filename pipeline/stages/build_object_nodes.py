"""Find the objects of each sampled frame and describe them, by the detector's features or by CLIP4Clip.

The object nodes of "Action Knowledge for Video Captioning with Graph Neural Networks" (Hendria et al., 2023, section
3.1), with any detection model of torchvision; boxes, classes and scores are kept. A frame in which nothing is found has
no nodes.

Shapes: F frames, N objects of a video, C channels, H height, W width, S side of the tower's input, D features.
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
from pipeline.models.crop_embedding import embed
from pipeline.models.detection import Objects, find_in_videos
from pipeline.models.detector import load_detector
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.schemas import FRAMES, NODES
from pipeline.video.stored_frames import central_square, frames_of

VIDEOS_AT_ONCE = 16  # whose frames are looked at together


@dataclass(frozen=True)
class Sight:
    """What looks at frames, and for what.

    Attributes:
        settings: What is looked for.
        model: The detector.
        size: Shorter side to which it brings frames.
        dtype: Of its matrix products.
        tower: CLIP4Clip, or None for the detector's own features.
        tower_dtype: Of the tower's matrix products.
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
        encoder_weights: The `weights.safetensors` of the encoder for `feature` clip; none for backbone.
        out: Where the shard's nodes (NODES) go.
        settings: Region, number and score of the objects, and their feature.
        detector: Architecture, size and precision of the detector.
        encoder: Architecture and precision of the encoder; null for `feature` backbone.
        threads: CPU threads.

    Raises:
        PipelineError: The weights are of another architecture, the frames cannot be read, or there is an encoder too
            many or too few.
    """
    torch.set_num_threads(threads)
    if not (settings.feature == "clip") == (encoder is not None) == (len(encoder_weights) == 1):
        raise PipelineError("`feature: clip` needs one encoder and its weights, and `feature: backbone` none")
    source = read(frames, FRAMES)
    device = compute_device()
    see = Sight(
        settings=settings,
        model=load_detector(weights, detector.arch, detector.size)[0].to(device),
        size=detector.size,
        dtype=announced_dtype(detector.precision, device, "the detector"),
        tower=load_clip4clip(encoder_weights[0], encoder.arch).to(device) if encoder else None,
        tower_dtype=announced_dtype(encoder.precision, device, "the encoder") if encoder else torch.float32,
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
    """Go through the videos in fixed groups, so that a run that goes on computes the very batches of one that did not.

    Args:
        source: Frames.
        wanted: The videos that are to come out; a group with one of them is computed whole.
        see: What looks at the frames, and for what.

    Yields:
        The nodes and their features [N, D] of each video wanted, in the artifact's order.
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
    """The nodes of some videos with their features [N, D], from the rows of the frames artifact."""
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
    """Pixel bounds (x0, y0, x1, y1), ends exclusive, of the part of a frame that is looked at: "frame" or "square"."""
    return central_square(height, width) if region == "square" else (0, 0, width, height)


def shift(objects: Sequence[Objects], left: int, top: int) -> list[Objects]:
    """Objects of a part of each frame, in the coordinates of the whole frame."""
    by_4 = torch.tensor([left, top, left, top])
    return [replace(one, box_N4=one.box_N4 + by_4) for one in objects]


def nodes_of(objects: Sequence[Objects], height: int, width: int) -> Rows:
    """Rows of the nodes of a video but their features.

    Args:
        objects: Of each frame.
        height: Of a frame, in pixels.
        width: Of a frame, in pixels.

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
    """Cut out and resize the objects of a video.

    Args:
        frames_FCHW: Bytes.
        objects: Of each frame.
        size: Side of the tower's input.

    Returns:
        Bytes [N, C, size, size], frame after frame.
    """
    height, width = frames_FCHW.shape[-2:]
    crops = [frames_FCHW.new_zeros((0, 3, size, size))]
    for frame_CHW, one in zip(frames_FCHW, objects, strict=True):
        for x0, y0, x1, y1 in square_bounds(one.box_N4.numpy(), height, width).tolist():
            crops.append(square_of_shorter_side(frame_CHW[None, :, y0:y1, x0:x1], size))
    return torch.cat(crops)


def square_bounds(box_N4: NDArray[np.floating[Any]], height: int, width: int) -> NDArray[np.int64]:
    """The square around each box: of its longer side, moved into the frame; a box longer than the frame is cut.

    The tower takes squares, and the ends of a long object would be lost to it.

    Args:
        box_N4: x0, y0, x1, y1 in pixels of the frame.
        height: Of the frame.
        width: Of the frame.

    Returns:
        Pixel bounds (x0, y0, x1, y1), ends exclusive, [N, 4].
    """
    start_N2, end_N2 = np.floor(box_N4[:, :2]), np.ceil(box_N4[:, 2:])
    side_N1 = np.maximum((end_N2 - start_N2).max(axis=1, keepdims=True), 1)
    limit_2 = np.array([width, height])
    side_N2 = np.minimum(side_N1, limit_2)
    corner_N2 = np.clip(np.floor((start_N2 + end_N2 - side_N2) / 2), 0, limit_2 - side_N2)
    return np.concatenate([corner_N2, corner_N2 + side_N2], axis=1).astype(np.int64)
