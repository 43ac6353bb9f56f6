"""Embed every whole frame with CLIP4Clip's image tower: its central square, like a grid of one cell."""

from pathlib import Path

import torch
from torch import Tensor

from pipeline import gpus
from pipeline.artifact import Artifact, create, read
from pipeline.config import Clip4ClipSettings
from pipeline.models.clip4clip import fit_square, load_clip4clip
from pipeline.models.crop_embedding import Rows, embed, fits_half
from pipeline.progress import track
from pipeline.schemas import APPEARANCE, FRAMES

# F frames, C channels, H height, W width, S side of the tower's input


def run(*, frames: Path, weights: Path, out: Path, settings: Clip4ClipSettings, threads: int) -> None:
    """Embed the frames of a shard.

    Args:
        frames: The shard's sampled frames (FRAMES).
        weights: The encoder's `weights.safetensors`.
        out: Where the shard's embeddings (APPEARANCE) go.
        settings: Architecture and precision of the encoder.
        threads: CPU threads.

    Raises:
        PipelineError: The weights are of another architecture, or the frames cannot be read.
    """
    torch.set_num_threads(threads)
    source = read(frames, FRAMES)
    device = gpus.device()
    dtype = gpus.dtype(settings.precision, device)
    module = load_clip4clip(weights, settings.arch).to(device)
    inputs = {"frames": frames, "weights": weights}
    made_with = settings.model_dump(mode="json", include={"arch", "precision"})
    ids = [*source.ids, *source.failed]
    with create(out, APPEARANCE, ids=ids, stage="extract_clip", settings=made_with, inputs=inputs) as writer:
        good = [video_id for video_id in writer.remaining if video_id not in source.failed]
        nothing: Rows = {}
        videos = ((nothing, cut_video(source, video_id, module.image_size)) for video_id in good)
        embedded = embed(videos, module, device, dtype)
        for video_id, (_, x_FD) in zip(good, track(embedded, len(good), "extract_clip"), strict=True):
            if fits_half(x_FD):
                writer.append(video_id, x=x_FD)
            else:
                writer.fail(video_id, "the encoder gave numbers that are not finite or beyond half precision")
        for video_id in list(writer.remaining):
            writer.fail(video_id, source.failed[video_id])


def cut_video(source: Artifact, video_id: str, size: int) -> Tensor:
    """The central squares of a video's frames, bytes [F, C, size, size]."""
    video = source.video(video_id, ["pixels", "size"])
    height, width = (int(length) for length in video["size"].reshape(2))
    side = min(height, width)
    left, top = round((width - side) / 2), round((height - side) / 2)
    frames_FHWC = torch.from_numpy(video["pixels"].reshape(-1, height, width, 3))
    return fit_square(frames_FHWC[:, top : top + side, left : left + side].permute(0, 3, 1, 2), size)
