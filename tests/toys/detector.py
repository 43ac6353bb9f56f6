"""Videos of things that jump, for the tests of what trains a detector."""

from pathlib import Path

import numpy as np

from pipeline.artifact import create, write_json
from pipeline.config import DetectorSettings
from pipeline.models.detector import SMALL
from pipeline.schemas import FRAMES

CLASSES = ["bar", "block"]  # an upright and a square thing


def draw_video(generator: np.random.Generator, num_frames: int, width: int) -> tuple[np.ndarray, dict]:
    """A bright thing that jumps over dark noise, 32 pixels high; in the last frame it is gone."""
    shape = CLASSES[int(generator.integers(2))]
    frames = generator.integers(0, 40, (num_frames, 32, width, 3), dtype=np.uint8)
    boxes: list[list[float] | None] = []
    for number in range(num_frames):
        across, down = (10, 28) if shape == "bar" else (20, 20)
        left, top = int(generator.integers(width - across + 1)), int(generator.integers(32 - down + 1))
        if number == num_frames - 1 and num_frames > 1:
            boxes.append(None)
            continue
        frames[number, top : top + down, left : left + across] = (230, 200, 90)
        boxes.append([left / width, top / 32, (left + across) / width, (top + down) / 32])
    return frames, {"objects": [{"shape": shape, "boxes": boxes}]}


def write_dataset(folder: Path, counts: dict[str, int], num_frames: int = 6) -> None:
    """frames.zarr with every second frame, truth.json and captions.json."""
    generator = np.random.default_rng(3)
    splits = {split: [f"{split}-{number}" for number in range(count)] for split, count in counts.items()}
    ids = [video_id for split in splits.values() for video_id in split]
    truths = {}
    with create(folder / "frames.zarr", FRAMES, ids=ids, stage="decode_frames", settings={}, inputs={}) as writer:
        for place, video_id in enumerate(ids):
            frames, truths[video_id] = draw_video(generator, num_frames, (32, 44)[place % 2])
            sampled = np.arange(0, num_frames, 2) if num_frames > 1 else np.arange(1)
            writer.append(
                video_id,
                pixels=frames[sampled].reshape(-1, 3),
                number=sampled,
                time=sampled / 8,
                size=np.array([frames.shape[1:3]]),
                num_frames=np.array([num_frames]),
                fps=np.array([8.0]),
            )
    write_json(folder / "truth.json", {"videos": truths})
    write_json(folder / "captions.json", {"captions": {}, "splits": splits})


def settings(**tuning: object) -> DetectorSettings:
    finetune = {
        "dataset": "shapes",
        "sampling": "action",
        "frames": 60,
        "epochs": 1,
        "batch_size": 6,
        "lr": 2e-3,
        "weight_decay": 1e-4,
        "warmup": 0.2,
        "seed": 1,
    }
    return DetectorSettings.model_validate(
        {
            "kind": "detector",
            "weights": "random",
            "seed": 1,
            "arch": SMALL,
            "size": 32,
            "precision": "auto",
            "finetune": finetune | tuning,
        }
    )
