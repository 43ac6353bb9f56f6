"""Small clips that a small recognizer learns to tell apart: stripes that lean left, that lean right, or none.

Half of them are longer than the others.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.artifact import create, write_json
from pipeline.config import ConvolutionalSettings
from pipeline.schemas import CLIPS
from pipeline.video.clip_encoding import EncodedFrames

CLASSES = ["stripes leaning left", "stripes leaning right", "no stripes"]
FLIPS = [1, 0, 2]
SIDE = 24
PERIOD = 8  # pixels from one stripe to the next
TRAINING: dict[str, Any] = {
    "epochs": 2, "batch_size": 4, "accumulate": 1, "optimizer": "adamw", "lr": 0.01, "momentum": 0.9,
    "weight_decay": 0.0005, "multipliers": "none", "schedule": "cosine", "steps": [], "warmup": 0.1, "clip_norm": 20.0,
    "loss": "mean", "label_smoothing": 0.0, "batch_norm": "train", "per_class": None, "epoch_clips": None,
    "validate_every": 1, "patience": None, "train_backbone": True, "kick_start": None, "precision": "fp32",
    "layer_decay": None, "least_lr": 0.0, "balanced": None, "triplet": None,
}  # fmt: skip
SIMPLE: dict[str, Any] = {
    "kind": "simple_conv", "filters": 8, "colours": 1, "pixels": "unit", "norm_maps": False,
    "weights": "random", "seed": 1,
}  # fmt: skip
# A graph of the maps in the middle, with batch norm of its nodes.
NODE_NORM: dict[str, Any] = {
    "kind": "rstg", "at": "conv2", "inside": False, "node_dim": 8, "rounds": 1, "stages": "all", "attention": "dot",
    "heads": 1, "scalewise": False, "positions": False, "layer_norm": False, "batch_norm": True, "residual": True,
}  # fmt: skip
AUGMENTATION: dict[str, Any] = {
    "size": SIDE, "crop": "multi_scale", "flip": "swap_labels", "brightness": 0.1, "rand_augment": None, "mixup": None,
}  # fmt: skip
VIEWS: dict[str, Any] = {"temporal": 2, "spatial": 3, "short_side": 28, "size": SIDE, "batch_size": 12}


def settings(training: dict[str, Any] | None = None, **others: Any) -> ConvolutionalSettings:
    """Settings of a recognizer that learns these clips; `training` changes those of its training."""
    given = {
        "kind": "convolutional", "backbone": SIMPLE, "modules": [], "dropout": 0.2,
        "frames": {"sampling": "segments", "number": 3, "stride": None},
        "augmentation": AUGMENTATION,
        "training": TRAINING | (training or {}), "views": VIEWS,
    }  # fmt: skip
    return ConvolutionalSettings.model_validate(given | others)


def frames_of(number: int, label: int, num_frames: int, height: int = 28, width: int = 40) -> np.ndarray:
    """Grey noise with the stripes of a class, `[T, H, W, 1]`."""
    rng = np.random.default_rng(number)
    frames = rng.integers(0, 60, (num_frames, height, width, 1), dtype=np.uint8)
    if label < 2:
        lean = 1 if label == 0 else -1
        along = np.arange(width) + lean * np.arange(height)[:, None] + int(rng.integers(PERIOD))
        frames += (along % PERIOD < PERIOD // 2).astype(np.uint8)[..., None] * np.uint8(180)
    return frames


def write_clips(folder: Path, num_train: int = 18, num_val: int = 6, num_test: int = 7) -> dict[str, Any]:
    """Write two stores of clips and labels.json; return the flags of a stage that name them.

    The last clip of the test split, if it has any, has a label and has failed.
    """
    splits = {"train": num_train, "val": num_val, "test": num_test}
    ids = {split: [f"{split}{number}" for number in range(many)] for split, many in splits.items()}
    everything = [clip_id for of_split in ids.values() for clip_id in of_split]
    labels = {clip_id: [number % len(CLASSES)] for number, clip_id in enumerate(everything)}
    paths = []
    for shard in range(2):
        own = everything[shard::2]
        paths.append(folder / f"00{shard}.zarr")
        with create(paths[-1], CLIPS, ids=own, stage="decode_clips", settings={}, inputs={}) as writer:
            for clip_id in own:
                if clip_id in ids["test"][-1:]:
                    writer.fail(clip_id, "cut off")
                    continue
                number = everything.index(clip_id)
                frames = frames_of(number, labels[clip_id][0], 4 + number % 2)
                encoded = EncodedFrames(len(frames), frames.shape[1:], None)
                for row, frame in enumerate(frames):
                    encoded.keep(row, frame)
                writer.append(clip_id, **encoded.arrays(np.arange(len(frames)) / 4))
    content = {
        "heads": {"class": CLASSES}, "labels": labels, "splits": ids, "missing": [], "annotated": splits, "notes": [],
        "flips": {"class": FLIPS}, "groups": {},
    }  # fmt: skip
    write_json(folder / "labels.json", content)
    return {"--clips": paths, "--labels": folder / "labels.json"}
