"""A tiny CLIP4Clip, random frames for the stages that show the one to the other, and colours to fine-tune it on."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.artifact import create, write_json
from pipeline.config import Clip4ClipSettings
from pipeline.models.clip4clip import Clip4Clip, load_pretrained, save_clip4clip
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


def overflow_from(monkeypatch: pytest.MonkeyPatch, row: int) -> None:
    """Let the image tower give features that half precision cannot hold for all images of a batch from `row` on."""
    encode = Clip4Clip.encode_image

    def overflow(module: Clip4Clip, images_BCHW: torch.Tensor) -> torch.Tensor:
        features_BD = encode(module, images_BCHW)
        features_BD[row:] *= 1e9
        return features_BD

    monkeypatch.setattr(Clip4Clip, "encode_image", overflow)


FINETUNE_ARCH = {
    "embed_dim": 16,
    "vision": {"image_size": 16, "patch_size": 8, "width": 32, "heads": 2, "layers": 1},
    "text": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
COLOURS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220), "white": (230, 230, 230)}


def finetune_settings(**finetune: object) -> Clip4ClipSettings:
    tuning = {
        "dataset": "plain",
        "sampling": "action",
        "epochs": 3,
        "batch_size": 4,
        "lr": 3e-3,
        "tower_lr_scale": 1.0,
        "weight_decay": 0.1,
        "warmup": 0.1,
        "max_words": 8,
        "frames": 2,
        "crop_scale": [0.3, 1.0],
        "seed": 1,
    } | finetune
    encoder = {"kind": "clip4clip", "weights": "random", "seed": 1, "arch": FINETUNE_ARCH, "precision": "auto"}
    return Clip4ClipSettings.model_validate_json(json.dumps(encoder | {"finetune": tuning}))


def write_colours(folder: Path, num: dict[str, int]) -> dict[str, list[str]]:
    """Videos of one colour each, in two shards, and captions that say it; returns the splits."""
    generator = np.random.default_rng(0)
    splits = {split: [f"{split}-{index}" for index in range(count)] for split, count in num.items()}
    ids = [video_id for split in splits.values() for video_id in split]
    captions = {}
    for shard in range(2):
        path = folder / f"{shard}.zarr"
        with create(path, FRAMES, ids=ids[shard::2], stage="finetune_clip4clip", settings={}, inputs={}) as writer:
            for video_id in ids[shard::2]:
                name = list(COLOURS)[int(video_id.split("-")[1]) % len(COLOURS)]
                num_frames = 1 + len(captions) % 3
                noise = generator.integers(-25, 26, (num_frames, 18, 24, 3))
                pixels = np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)
                writer.append(
                    video_id,
                    pixels=pixels.reshape(-1, 3),
                    number=np.arange(num_frames),
                    time=np.arange(num_frames) / 4,
                    size=np.array([[18, 24]]),
                    num_frames=np.array([num_frames]),
                    fps=np.array([4.0]),
                )
                captions[video_id] = [f"a {name} thing", f"something {name}"]
    write_json(folder / "captions.json", {"captions": captions, "splits": splits})
    return splits
