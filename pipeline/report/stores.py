"""Describe the workflow's stores for the report: sizes, videos, which were left out, and which look damaged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import zarr

from pipeline.artifact import Artifact, read, store_path
from pipeline.report.artifacts import ByKind
from pipeline.schemas import SCHEMAS
from pipeline.workflow.paths import Located


@dataclass(frozen=True)
class Store:
    """A Zarr artifact, and what its path and its provenance tell.

    Attributes:
        dataset: Name of the data set it belongs to.
        name: Its kind and variant, such as `nodes/grid`.
        stage: The stage that made it.
        artifact: The open artifact.
        num_bytes: Its size on disk in bytes.
    """

    dataset: str
    name: str
    stage: str
    artifact: Artifact
    num_bytes: int


def read_stores(found: ByKind) -> list[Store]:
    """Open every store of a data set among the artifacts, in the order of SCHEMAS."""
    return [read_store(located) for kind in SCHEMAS for located in found[kind] if "dataset" in located.names]


def read_store(located: Located) -> Store:
    """Open a store of a data set."""
    store = store_path(located.path)
    artifact = read(store, SCHEMAS[located.kind])
    num_bytes = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    stage = str(zarr.open_group(store / "provenance", mode="r").attrs["stage"])
    variant = [name for word, name in located.names.items() if word not in ("dataset", "shard")]
    return Store(located.names["dataset"], "/".join([located.kind, *variant]), stage, artifact, num_bytes)


def summarise(stores: Sequence[Store]) -> list[dict[str, Any]]:
    """Add up the shards of each artifact.

    Returns:
        For each artifact `dataset`, `name`, `stage`, `num_shards`, `num_videos`, `num_failed` and `bytes_per_video`, by
        data set, and then in the order of SCHEMAS.
    """
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
    """List once each video that was left out: `dataset`, `id`, and `stage` and `reason` of the first that did so."""
    return _list_first(stores, lambda artifact: artifact.failed)


def list_suspects(stores: Sequence[Store]) -> list[dict[str, str]]:
    """List once each video that was used although its file looks damaged.

    Returns:
        For each video `dataset` and `id`, and `stage` and `reason` of the first stage that saw the damage.
    """
    return _list_first(stores, lambda artifact: artifact.suspect)


def _list_first(stores: Sequence[Store], reasons_of: Callable[[Artifact], Mapping[str, str]]) -> list[dict[str, str]]:
    order = list(SCHEMAS)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for store in sorted(stores, key=lambda store: order.index(store.artifact.schema.name)):
        for video_id, reason in reasons_of(store.artifact).items():
            row = {"dataset": store.dataset, "id": video_id, "stage": store.stage, "reason": reason}
            rows.setdefault((store.dataset, video_id), row)
    return [rows[key] for key in sorted(rows)]
