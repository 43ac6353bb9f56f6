"""Settings of a small VideoMAE encoder, which is pre-trained on the small labelled clips."""

import json
from typing import Any

from pipeline.config import VideoMaeSettings

ARCH = {
    "image_size": 24,
    "patch_size": 8,
    "frames": 4,
    "tubelet": 2,
    "width": 16,
    "heads": 2,
    "layers": 2,
    "positions": "axes",
}
PRETRAIN: dict[str, Any] = {
    "dataset": "clips", "clipping": "all", "decoder": {"width": 8, "heads": 1, "layers": 1}, "masked": 0.7,
    "targets": "pixels", "stride": 1, "epochs": 3, "batch_size": 4, "accumulate": 2, "lr": 0.003, "betas": [0.9, 0.95],
    "weight_decay": 0.05, "warmup": 0.1, "crop": "multi_scale", "flip": True, "seed": 1,
}  # fmt: skip


def masked_settings(pretrain: dict[str, Any] | None = None, **others: Any) -> VideoMaeSettings:
    """Settings of an encoder; `pretrain` changes those of its pre-training."""
    given = {"kind": "videomae", "weights": "random", "seed": 1, "arch": ARCH, "precision": "fp32"}
    return VideoMaeSettings.model_validate_json(json.dumps(given | {"pretrain": PRETRAIN | (pretrain or {})} | others))
