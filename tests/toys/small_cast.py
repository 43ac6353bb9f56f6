"""A cast recognizer that is small enough to train, over random experts, on the clips of `labelled_clips`."""

import csv
from pathlib import Path
from typing import Any

from pipeline.config import CastSettings
from pipeline.stages import train_recognizer
from toys.experts import TRAINING, cast_settings, write_experts
from toys.labelled_clips import write_clips

SIDE = 16
CLIP_ARCH: dict[str, Any] = {
    "embed_dim": 8,
    "vision": {"image_size": SIDE, "patch_size": 8, "width": 24, "heads": 2, "layers": 2},
    "text": {"context_length": 8, "vocab_size": 20, "width": 8, "heads": 2, "layers": 1},
}
MAE_ARCH: dict[str, Any] = {
    "image_size": SIDE, "patch_size": 8, "frames": 4, "tubelet": 2, "width": 24, "heads": 2, "layers": 2,
    "positions": "order",
}  # fmt: skip
VIEWS: dict[str, Any] = {"temporal": 2, "spatial": 3, "short_side": 20, "size": SIDE, "batch_size": 6}
AUGMENTATION: dict[str, Any] = {
    "size": SIDE, "crop": "random_resized", "flip": "swap_labels", "brightness": 0.0,
    "rand_augment": {"operations": 2, "magnitude": 7, "deviation": 0.5, "interpolation": "bicubic"},
    "mixup": {"alpha": 0.8, "share": 0.5},
}  # fmt: skip
RECIPE: dict[str, Any] = {
    "epochs": 2, "batch_size": 4, "lr": 0.005, "weight_decay": 0.05, "multipliers": "layers", "layer_decay": 0.75,
    "schedule": "cosine", "warmup": 0.1, "least_lr": 1e-5, "label_smoothing": 0.1, "batch_norm": "frozen",
}  # fmt: skip


def settings(training: dict[str, Any] | None = None, **others: Any) -> CastSettings:
    """Settings of the recognizer with CAST's whole recipe; `training` changes those of its training."""
    given = {
        "spatial": "clip", "temporal": "mae", "drop_path": 0.2, "views": VIEWS, "augmentation": AUGMENTATION,
        "frames": {"sampling": "uniform", "number": 4, "stride": None},
        "training": TRAINING | RECIPE | (training or {}),
    }  # fmt: skip
    return cast_settings(**given | others)


def plain(training: dict[str, Any] | None = None, **others: Any) -> CastSettings:
    """The same where nothing is random in a clip."""
    augmentation = {"crop": "whole", "flip": "none", "rand_augment": None, "mixup": None}
    recipe = {"multipliers": "none", "layer_decay": None, "weight_decay": 0.0, "label_smoothing": 0.0, "lr": 0.01}
    return settings(
        recipe | (training or {}), **{"augmentation": AUGMENTATION | augmentation, "drop_path": 0.0} | others
    )


def write_all(folder: Path, **clips: int) -> dict[str, Any]:
    """Write clips, labels and both experts; return the flags of a stage that name them."""
    flags = write_clips(folder, **clips)
    return flags | {"--experts": list(write_experts(folder / "encoders", CLIP_ARCH, MAE_ARCH))}


def train(folder: Path, flags: dict[str, Any], given: CastSettings, **others: Any) -> list[dict[str, str]]:
    """Train as the stage does, into a folder; return the rows of the curves."""
    nothing: dict[str, Any] = {name: [] for name in ("features", "fronts", "groups", "weights", "teachers")}
    arguments = {name.removeprefix("--"): value for name, value in flags.items()}
    places = {"checkpoints": folder / "checkpoints", "out": folder / "model.safetensors", "curves": folder / "c.csv"}
    fixed = {"part": None, "seed": 1, "threads": 1, "recognizer": given}
    train_recognizer.run(**{**nothing, **arguments, **places, **fixed, **others})
    with places["curves"].open() as file:
        return list(csv.DictReader(file))
