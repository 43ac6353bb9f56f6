"""Cut each sampled frame into overlapping cells and embed every cell with CLIP4Clip's image tower.

Geometry and preprocessing are those of AKG-sv's grid nodes. The central square of the frame is divided into `cells` x
`cells` cells, which reach into their neighbours by `overlap` of a cell. Each is resized and cut to the tower's square
input.

Shapes: F frames, K cells of a frame, N cells of a video, C channels, H height, W width, S side of the tower's input, D
embedding.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.artifact import Artifact, create, read
from pipeline.artifact.each_video import Outcomes, Rows, as_features, videos_together
from pipeline.config import Clip4ClipSettings, GridNodesSettings
from pipeline.models.clip4clip import load_clip4clip, square_of_shorter_side
from pipeline.models.crop_embedding import embed, for_images
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.schemas import FRAMES, NODES
from pipeline.video.stored_frames import central_square, frames_of


def run(
    *,
    frames: Path,
    weights: Path,
    out: Path,
    settings: GridNodesSettings,
    encoder: Clip4ClipSettings,
    threads: int,
) -> None:
    """Embed the grid cells of every frame of a shard.

    Args:
        frames: The shard's sampled frames (FRAMES).
        weights: The encoder's `weights.safetensors`.
        out: Where the shard's nodes (NODES) go.
        settings: Number of cells along a side, and their overlap.
        encoder: Architecture and precision of the encoder.
        threads: CPU threads of the network.

    Raises:
        PipelineError: The weights are of another architecture, or the frames cannot be read.
    """
    torch.set_num_threads(threads)
    source = read(frames, FRAMES)
    device = compute_device()
    dtype = announced_dtype(encoder.precision, device, "the encoder")
    module = for_images(load_clip4clip(weights, encoder.arch).to(device), dtype)
    inputs = {"frames": frames, "weights": weights}
    made_with = {
        "nodes": settings.model_dump(mode="json"),
        "encoder": encoder.model_dump(mode="json", include={"arch", "precision"}),
    }
    ids = [*source.ids, *source.failed]
    with create(out, NODES, ids=ids, stage="build_grid_nodes", settings=made_with, inputs=inputs) as writer:

        def embedded(ids: Sequence[str]) -> Outcomes:
            videos = (cut_video(source, video_id, settings, module.image_size) for video_id in ids)
            return as_features(embed(videos, module, device, dtype))

        videos_together(writer, source.failed, embedded)


def grid_boxes(side: int, cells: int, overlap: float) -> NDArray[np.int64]:
    """Compute the bounds of the cells of a square, row-major.

    A cell is `side // cells` pixels wide and reaches `overlap` of a cell into its neighbours; the last one ends at the
    border. In a square of fewer pixels than cells, a cell is the one pixel at which it would begin.

    Args:
        side: Side of the square in pixels.
        cells: Number of cells along a side.
        overlap: Share of a cell by which it reaches into each neighbour, in [0, 1).

    Returns:
        Pixel bounds (x0, y0, x1, y1), ends exclusive, [cells * cells, 4].
    """
    cell, extension = side // cells, int(side / cells * overlap)
    bounds = []
    for index in range(cells):
        start = index * cell - (extension if index > 0 else 0)
        end = side if index == cells - 1 else (index + 1) * cell + extension
        start = min(start, side - 1)
        bounds.append((start, min(max(end, start + 1), side)))
    return np.array([(x0, y0, x1, y1) for y0, y1 in bounds for x0, x1 in bounds], np.int64)


def frame_boxes(height: int, width: int, cells: int, overlap: float) -> NDArray[np.int64]:
    """Compute the pixel bounds [cells * cells, 4] of a central square's cells, in the coordinates of the frame."""
    left, top, right, _ = central_square(height, width)
    boxes: NDArray[np.int64] = grid_boxes(right - left, cells, overlap) + np.array([left, top, left, top])
    return boxes


def cut_cells(frames_FHWC: Tensor, boxes: NDArray[np.int64], size: int) -> Tensor:
    """Cut the cells out of frames of one size, and resize them.

    Args:
        frames_FHWC: The frames as bytes.
        boxes: Pixel bounds (x0, y0, x1, y1) of the cells [K, 4].
        size: Side of the tower's input in pixels.

    Returns:
        The cells as bytes [F, K, C, size, size].
    """
    frames_FCHW = frames_FHWC.permute(0, 3, 1, 2)
    return torch.stack(
        [square_of_shorter_side(frames_FCHW[..., y0:y1, x0:x1], size) for x0, y0, x1, y1 in boxes.tolist()], dim=1
    )


def cut_video(source: Artifact, video_id: str, settings: GridNodesSettings, size: int) -> tuple[Rows, Tensor]:
    """Read a video's frames and cut them into cells.

    Args:
        source: The frames artifact that holds the video.
        video_id: Id of the video.
        settings: Number of cells along a side, and their overlap.
        size: Side of the tower's input in pixels.

    Returns:
        The rows of the nodes without their features: `node_frame` [N], `box` [N, 4] in [0, 1] of the whole frame,
        `label` [N] (all 0), `score` [N] (all 1) and `frame_time` [F]; and the cells as bytes [N, C, size, size], frame
        after frame.
    """
    video = source.video(video_id)
    frames_FHWC = frames_of(video)
    height, width = frames_FHWC.shape[1:3]
    boxes = frame_boxes(height, width, settings.cells, settings.overlap)
    cells_FKCSS = cut_cells(frames_FHWC, boxes, size)
    num_frames, num_cells = cells_FKCSS.shape[:2]
    nodes = {
        "node_frame": np.repeat(np.arange(num_frames), num_cells),
        "box": np.tile(boxes / np.array([width, height, width, height]), (num_frames, 1)),
        "label": np.zeros(num_frames * num_cells, np.int64),
        "score": np.ones(num_frames * num_cells),
        "frame_time": video["time"],
    }
    return nodes, cells_FKCSS.flatten(0, 1)
