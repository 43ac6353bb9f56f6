"""A tiny CLIP4Clip and random frames for the stages that show the one to the other."""

from pathlib import Path

import numpy as np

from pipeline.artifact import create
from pipeline.config import Clip4ClipSettings
from pipeline.models.clip4clip import load_pretrained, save_clip4clip
from pipeline.schemas import FRAMES

ARCH = {
    "embed_dim": 8,
    "vision": {"image_size": 16, "patch_size": 8, "width": 16, "heads": 2, "layers": 1},
    "text": {"context_length": 8, "vocab_size": 20, "width": 8, "heads": 2, "layers": 1},
}


def encoder(arch: dict = ARCH) -> Clip4ClipSettings:
    """Settings of an encoder with random weights, in float32."""
    settings = {
        "kind": "clip4clip",
        "weights": "random",
        "seed": 1,
        "arch": arch,
        "finetune": None,
        "precision": "fp32",
    }
    return Clip4ClipSettings.model_validate(settings)


def write_weights(folder: Path, arch: dict = ARCH) -> Path:
    """Random weights, as `import_weights` writes them."""
    save_clip4clip(load_pretrained("random", arch, 1)[0], folder / "weights.safetensors", "random")
    return folder / "weights.safetensors"


def write_frames(path: Path, sizes: dict[str, tuple[int, int, int]], failed: dict[str, str]) -> dict[str, np.ndarray]:
    """Random frames as a `frames` artifact; sizes are frames, height, width."""
    generator = np.random.default_rng(0)
    videos = {video_id: generator.integers(0, 256, (*size, 3), dtype=np.uint8) for video_id, size in sizes.items()}
    ids = [*sizes, *failed]
    with create(path, FRAMES, ids=ids, stage="decode_frames", settings={}, inputs={}) as writer:
        for video_id, frames in videos.items():
            writer.append(
                video_id,
                pixels=frames.reshape(-1, 3),
                number=np.arange(len(frames)),
                time=np.arange(len(frames)) / 4,
                size=np.array([frames.shape[1:3]]),
                num_frames=np.array([len(frames)]),
                fps=np.array([4.0]),
            )
        for video_id, reason in failed.items():
            writer.fail(video_id, reason)
    return videos
