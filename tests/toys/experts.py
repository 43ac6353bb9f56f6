"""Two small experts, their files, and settings of the CAST recognizers over them."""

import json
from pathlib import Path
from typing import Any

import torch

from pipeline.config import CastSettings, VideoMaeArch
from pipeline.models.clip4clip import load_pretrained, save_clip4clip
from pipeline.recognition.cast import Cast
from pipeline.recognition.towers.temporal_weights import draw_tower, save_temporal

SIZES = {"width": 48, "depth": 2, "heads": 4, "image_size": 32, "frames": 8}  # of patches of 16 pixels: 2 x 2, 4 steps
CLIP_ARCH = {
    "embed_dim": 8,
    "vision": {"image_size": 32, "patch_size": 16, "width": 48, "heads": 4, "layers": 2},
    "text": {"context_length": 8, "vocab_size": 20, "width": 8, "heads": 2, "layers": 1},
}
MAE_ARCH = {
    "image_size": 32,
    "patch_size": 16,
    "frames": 8,
    "tubelet": 2,
    "width": 48,
    "heads": 4,
    "layers": 2,
    "positions": "order",
}
TRAINING = {
    "epochs": 1, "batch_size": 2, "accumulate": 1, "optimizer": "adamw", "lr": 0.01, "momentum": 0.9,
    "weight_decay": 0.0, "multipliers": "none", "layer_decay": None, "schedule": "constant", "steps": [], "warmup": 0.0,
    "least_lr": 0.0, "clip_norm": None, "loss": "mean", "label_smoothing": 0.0, "train_backbone": False,
    "batch_norm": "train", "per_class": None, "epoch_clips": None, "balanced": None, "triplet": None,
    "validate_every": 1, "patience": None, "kick_start": None, "precision": "fp32",
}  # fmt: skip
SETTINGS = {
    "kind": "cast", "spatial": "clip", "temporal": "mae", "weights": "random", "head": "drawn",
    "adapters": True, "exchange": "both",
    "windows": {"t2s": "time", "s2t": "space"}, "positions": True, "ratio": 0.5, "first_block": 1, "fusion": "added",
    "drop_path": 0.0, "stored_views": None,
    "frames": {"sampling": "segments", "number": 8, "stride": None},
    "augmentation": {"size": 32, "crop": "whole", "flip": "none", "brightness": 0.0, "rand_augment": None,
                     "mixup": None},
    "training": TRAINING,
    "views": {"temporal": 1, "spatial": 1, "short_side": None, "size": 32, "batch_size": 2},
}  # fmt: skip


def write_experts(
    folder: Path, clip: dict[str, Any] = CLIP_ARCH, mae: dict[str, Any] = MAE_ARCH, seed: int = 1
) -> tuple[Path, Path]:
    """Random experts, spatial and temporal, as `import_weights` writes them."""
    folder.mkdir(exist_ok=True)
    spatial, temporal = folder / "spatial.safetensors", folder / "temporal.safetensors"
    save_clip4clip(load_pretrained("random", clip, seed)[0], spatial, "random")
    arch = VideoMaeArch.model_validate(mae)
    save_temporal(draw_tower(arch, seed), temporal, arch, "random")
    return spatial, temporal


def cast_settings(**changed: Any) -> CastSettings:
    """Settings of a small recognizer over these experts."""
    return CastSettings.model_validate_json(json.dumps(SETTINGS | changed))


def small_cast(num_classes: int = 5, *, stirred: bool = True, **options: Any) -> Cast:
    """A small CAST in evaluation mode, each of whose tensors is random, or as it begins."""
    torch.manual_seed(1)
    made = Cast(num_classes, **{**SIZES, **options})
    if stirred:
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, 0.0, 0.2)
    return made.eval()


def clips(num: int = 2, seed: int = 2) -> torch.Tensor:
    """Normalised clips for it, `[B, 3, 8, 32, 32]`."""
    return torch.randn(num, 3, 8, 32, 32, generator=torch.Generator().manual_seed(seed))
