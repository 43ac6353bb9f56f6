"""Settings of small recognizers."""

from typing import Any

from pipeline.config import ConvolutionalSettings

TRAINING = {
    "epochs": 1, "batch_size": 2, "accumulate": 1, "optimizer": "sgd", "lr": 0.01, "momentum": 0.9,
    "weight_decay": 0.0, "multipliers": "none", "schedule": "constant", "steps": [], "warmup": 0.0, "clip_norm": None,
    "loss": "mean", "label_smoothing": 0.0, "batch_norm": "train", "per_class": None, "epoch_clips": None,
    "validate_every": 1, "patience": None, "train_backbone": True, "kick_start": None, "precision": "fp32",
    "layer_decay": None, "least_lr": 0.0, "balanced": None, "triplet": None,
}  # fmt: skip
AUGMENTATION = {"crop": "whole", "flip": "none", "brightness": 0.0, "rand_augment": None, "mixup": None}
SIMPLE = {
    "kind": "simple_conv",
    "filters": 8,
    "colours": 1,
    "pixels": "unit",
    "norm_maps": False,
    "weights": "random",
    "seed": 1,
}
TSM = {
    "kind": "tsm", "depth": 18, "geometry": "torchvision", "clip": None, "stages": 4, "colours": 3,
    "shift_share": 0.125, "pixels": "imagenet", "weights": "random", "head": "drawn", "channels": "rgb",
    "seed": 1,
}  # fmt: skip
VIDEO = {**TSM, "kind": "i3d", "depth": 50, "geometry": "slowfast", "clip": "8x8", "shift_share": 0.0,
         "pixels": "nonlocal"}  # fmt: skip
RSTG = {
    "kind": "rstg", "inside": False, "node_dim": 16, "rounds": 2, "stages": "all", "attention": "dot", "heads": 1,
    "scalewise": True, "positions": False, "layer_norm": True, "batch_norm": False, "residual": True,
}  # fmt: skip
DYREG = {
    "kind": "dyreg", "inside": False, "node_dim": 16, "offset_dim": 8, "rounds": 2, "stages": "all",
    "anchors": "centre", "generator": "big", "regions": "dynamic", "residual": True,
}  # fmt: skip


def recognizer_settings(
    backbone: dict[str, Any], *modules: dict[str, Any], size: int = 64, frames: int = 3, **others: Any
) -> ConvolutionalSettings:
    """Settings of a recognizer with this backbone and these modules."""
    stride = {"sampling": "segments", "number": frames, "stride": None}
    return ConvolutionalSettings.model_validate(
        {
            "kind": "convolutional", "backbone": backbone, "modules": list(modules), "dropout": 0.0, "frames": stride,
            "augmentation": AUGMENTATION | {"size": size}, "training": TRAINING,
            "views": {"temporal": 1, "spatial": 1, "short_side": None, "size": size, "batch_size": 2}, **others,
        }
    )  # fmt: skip
