"""TSTL over tiny experts: small clips of four classes in two groups, and parts with random weights."""

from pathlib import Path
from typing import Any

import torch

from pipeline.artifact import write_json
from pipeline.config import CastSettings, VideoMaeArch
from pipeline.recognition.cast_file import describe_cast
from pipeline.recognition.cast_recognizer import build_over, read_experts
from pipeline.recognition.towers.temporal_weights import draw_tower, save_temporal
from pipeline.weights.saving import save_weights
from toys import clip
from toys.labelled_clips import TRAINING, write_clips

CLASSES = ["falls left", "falls right", "grows", "shrinks"]
GROUPS = {"groups": {"class": dict(zip(CLASSES, [0, 1, 0, 1], strict=True))}, "names": ["0: left", "1: right"]}
ONE_GROUP = {"groups": {"class": dict.fromkeys(CLASSES, 0)}, "names": ["0: all"]}
SIDE = 16
ARCH = clip.ARCH | {"vision": clip.ARCH["vision"] | {"image_size": SIDE, "patch_size": 8, "layers": 2}}
TEMPORAL = {
    "image_size": SIDE,
    "patch_size": 8,
    "frames": 4,
    "tubelet": 2,
    "width": 16,
    "heads": 2,
    "layers": 2,
    "positions": "order",
}
VIEWS: dict[str, Any] = {"temporal": 2, "spatial": 1, "short_side": 20, "size": SIDE, "batch_size": 4}


def cast_settings(training: dict[str, Any] | None = None, **others: Any) -> CastSettings:
    """Settings of a CAST over the tiny experts; `training` changes those of its training."""
    augmentation = {"size": SIDE, "crop": "multi_scale", "flip": "swap_labels", "brightness": 0.1}
    given = {
        "kind": "cast", "spatial": "clip", "temporal": "videomae", "adapters": True, "exchange": "both",
        "windows": {"t2s": "time", "s2t": "space"}, "positions": True, "ratio": 0.5, "first_block": 1,
        "fusion": "added", "drop_path": 0.1, "stored_views": None,
        "frames": {"sampling": "segments", "number": 4, "stride": None},
        "augmentation": augmentation | {"rand_augment": None, "mixup": None},
        "training": TRAINING | {"train_backbone": False} | (training or {}), "views": VIEWS,
    }  # fmt: skip
    return CastSettings.model_validate(given | others)


def write_experts(folder: Path) -> list[Path]:
    """Write both experts; return their files, the spatial one first."""
    (folder / "clip").mkdir()
    temporal = folder / "videomae.safetensors"
    arch = VideoMaeArch.model_validate(TEMPORAL)
    save_temporal(draw_tower(arch, 2), temporal, arch, "random")
    return [clip.write_weights(folder / "clip", ARCH), temporal]


def write_part(path: Path, experts: list[Path], heads: dict[str, list[str]], seed: int, **others: Any) -> Path:
    """Write a part with random weights, none of them 0, so that all of it counts."""
    torch.manual_seed(seed)
    settings, over = cast_settings(**others), read_experts(*experts)
    model = build_over(over, settings, {name: len(classes) for name, classes in heads.items()})
    with torch.no_grad():
        for parameter in model.part.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    save_weights(model.part.state_dict(), path, describe_cast(settings, heads, over))
    return path


def write_labels(folder: Path, num_train: int = 8, num_val: int = 4, num_test: int = 5) -> Path:
    """Write the labels of clips of four classes, in turn, and groups.json; return labels.json."""
    numbers = {"train": num_train, "val": num_val, "test": num_test}
    splits = {split: [f"{split}{number}" for number in range(many)] for split, many in numbers.items()}
    labels = {clip_id: [number % len(CLASSES)] for ids in splits.values() for number, clip_id in enumerate(ids)}
    content = {
        "heads": {"class": CLASSES}, "labels": labels, "splits": splits, "missing": [], "annotated": numbers,
        "notes": [], "flips": {"class": [1, 0, 2, 3]}, "groups": {},
    }  # fmt: skip
    write_json(folder / "labels.json", content)
    write_json(folder / "groups.json", GROUPS)
    return folder / "labels.json"


def write_labelled(folder: Path, num_train: int = 8, num_val: int = 4, num_test: int = 5) -> dict[str, Any]:
    """Write clips, of which the last one of the test split has failed, and `write_labels`; return the stages' flags."""
    flags = write_clips(folder, num_train, num_val, num_test)
    return flags | {"--labels": write_labels(folder, num_train, num_val, num_test)}
