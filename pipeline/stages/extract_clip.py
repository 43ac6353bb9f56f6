"""Embed the central square of every frame with CLIP4Clip's image tower, like a grid of one cell.

Shapes: F frames, C channels, H height, W width.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pipeline.artifact import Artifact, create, read
from pipeline.artifact.each_video import Outcomes, Rows, as_features, videos_together
from pipeline.config import Clip4ClipSettings
from pipeline.models.clip4clip import load_clip4clip, square_of_shorter_side
from pipeline.models.crop_embedding import embed, for_images
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.schemas import APPEARANCE, FRAMES
from pipeline.video.stored_frames import central_square, frames_of


def run(*, frames: Path, weights: Path, out: Path, settings: Clip4ClipSettings, threads: int) -> None:
    """Embed the frames of a shard.

    Args:
        frames: The shard's sampled frames (FRAMES).
        weights: The encoder's `weights.safetensors`.
        out: Where the shard's embeddings (APPEARANCE) go.
        settings: Architecture and precision of the encoder.
        threads: CPU threads of the encoder.

    Raises:
        PipelineError: The weights are of another architecture, or the frames cannot be read.
    """
    torch.set_num_threads(threads)
    source = read(frames, FRAMES)
    device = compute_device()
    dtype = announced_dtype(settings.precision, device, "the encoder")
    module = for_images(load_clip4clip(weights, settings.arch).to(device), dtype)
    inputs = {"frames": frames, "weights": weights}
    made_with = settings.model_dump(mode="json", include={"arch", "precision"})
    ids = [*source.ids, *source.failed]
    with create(out, APPEARANCE, ids=ids, stage="extract_clip", settings=made_with, inputs=inputs) as writer:

        def embedded(ids: Sequence[str]) -> Outcomes:
            others: Rows = {}
            videos = ((others, cut_video(source, video_id, module.image_size)) for video_id in ids)
            return as_features(embed(videos, module, device, dtype))

        videos_together(writer, source.failed, embedded)


def cut_video(source: Artifact, video_id: str, size: int) -> Tensor:
    """Cut the central square out of each frame of a video, as bytes [F, C, size, size]; `size` is in pixels."""
    frames_FCHW = frames_of(source.video(video_id, ["pixels", "size"])).permute(0, 3, 1, 2)
    x0, y0, x1, y1 = central_square(*frames_FCHW.shape[2:])
    return square_of_shorter_side(frames_FCHW[..., y0:y1, x0:x1], size)
