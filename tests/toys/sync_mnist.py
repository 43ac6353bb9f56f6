"""Settings of SyncMNIST as it is published, for its tests."""

import json
from pathlib import Path

from pipeline.config import ClippingSettings, SyncMnistSettings
from pipeline.stages import make_sync_mnist

PUBLISHED = {
    "kind": "sync_mnist",
    "shards": 1,
    "seed": 3,
    "clips": {"train": 6, "val": 2, "test": 4},
    "digits": 5,
    "classes": 10,
    "synchronous": "pair",
    "repeated_classes": False,
    "none_share": 1 / 92,
    "inclusive_upper": False,
    "canvas": 100,
    "size": 64,
    "frames": 10,
    "max_step": 10,
    "glyphs": "procedural",
}
MULTI = {"synchronous": "subset", "repeated_classes": True, "none_share": 1 / 56, "canvas": 256, "size": 128}
RAW = ClippingSettings(
    fps=None, max_frames=100, short_side=None, codec="raw", quality=90, time_limit=60.0, on_bad_video="record"
)


def sync_mnist(**changed) -> SyncMnistSettings:
    return SyncMnistSettings.model_validate_json(json.dumps(PUBLISHED | changed))


def make_truth(folder: Path, shard: int = 0, **changed) -> Path:
    """Make a shard's `list.json` and `truth.json` in a folder; the path of the second."""
    make_sync_mnist.run(folder / "list.json", folder / "truth.json", sync_mnist(**changed), shard)
    return folder / "truth.json"
