"""What the workflow's stores say of themselves: sizes, videos, what was left out, and what looks damaged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr

from pipeline.artifact import Artifact, read, store_path
from pipeline.errors import PipelineError
from pipeline.schemas import (
    SCHEMAS,
)


@dataclass(frozen=True)
class Store:
    """A Zarr artifact and what its path tells.

    Attributes:
        dataset: The data set it belongs to.
        name: Its kind and variant, such as `nodes/grid`.
        stage: The stage that made it.
        artifact: What it holds.
        num_bytes: Its size on disk.
    """

    dataset: str
    name: str
    stage: str
    artifact: Artifact
    num_bytes: int


def read_store(path: Path) -> Store:
    """Open an artifact at `.../datasets/{dataset}/{kind}/.../{shard}.zarr`.

    Raises:
        PipelineError: The path does not say what the artifact is.
    """
    store = store_path(path)
    parts = store.parts
    start = len(parts) - parts[::-1].index("datasets") if "datasets" in parts else len(parts)
    if len(parts) < start + 3 or parts[start + 1] not in SCHEMAS:
        raise PipelineError(
            f"--artifacts {path}: expected a path datasets/<data set>/<kind>/.../<shard>.zarr with one of the kinds "
            f"{', '.join(SCHEMAS)}"
        )
    artifact = read(store, SCHEMAS[parts[start + 1]])
    num_bytes = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    stage = str(zarr.open_group(store / "provenance", mode="r").attrs["stage"])
    return Store(parts[start], "/".join(parts[start + 1 : -1]), stage, artifact, num_bytes)


def summarise(stores: Sequence[Store]) -> list[dict[str, Any]]:
    """Add up the shards of each artifact: videos, failures, and bytes a video."""
    rows = []
    order = list(SCHEMAS)
    stores = sorted(stores, key=lambda store: (store.dataset, order.index(store.artifact.schema.name), store.name))
    for dataset, name in dict.fromkeys((store.dataset, store.name) for store in stores):
        shards = [store for store in stores if (store.dataset, store.name) == (dataset, name)]
        num_videos = sum(len(shard.artifact.ids) for shard in shards)
        rows.append(
            {
                "dataset": dataset,
                "name": name,
                "stage": shards[0].stage,
                "num_shards": len(shards),
                "num_videos": num_videos,
                "num_failed": sum(len(shard.artifact.failed) for shard in shards),
                "bytes_per_video": sum(shard.num_bytes for shard in shards) / max(1, num_videos),
            }
        )
    return rows


def list_failures(stores: Sequence[Store]) -> list[dict[str, str]]:
    """List each video that was left out once, with the first stage that did so and its reason."""
    return _list_first(stores, lambda artifact: artifact.failed)


def list_suspects(stores: Sequence[Store]) -> list[dict[str, str]]:
    """List each video that was used although its file looks damaged, with the first stage that saw it, and what."""
    return _list_first(stores, lambda artifact: artifact.suspect)


def _list_first(stores: Sequence[Store], told: Callable[[Artifact], Mapping[str, str]]) -> list[dict[str, str]]:
    order = list(SCHEMAS)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for store in sorted(stores, key=lambda store: order.index(store.artifact.schema.name)):
        for video_id, reason in told(store.artifact).items():
            row = {"dataset": store.dataset, "id": video_id, "stage": store.stage, "reason": reason}
            rows.setdefault((store.dataset, video_id), row)
    return [rows[key] for key in sorted(rows)]
