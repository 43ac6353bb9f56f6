"""Take up a store that was complete without Snakemake knowing.

Jobs outlive a Snakemake that is killed: on a cluster always. What such a job finishes is incomplete to the next call:
it deletes the file that it knows, the root `zarr.json`, and starts the job again. The root is therefore kept twice, and
is put back if the store was made as this job would make it and its data have their digest. No video is then done again.
Nor is one where the root is there: Snakemake has deleted it before it started the job, so another call made the store
since.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import zarr

from pipeline.artifact.checking import check_store
from pipeline.errors import PipelineError
from pipeline.schemas import Schema

log = logging.getLogger(__name__)

# What zarr, numcodecs and JSON raise for metadata that are not as they were written.
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError)


def recover(store: Path, schema: Schema, ids: Sequence[str], provenance: dict[str, Any]) -> dict[str, Any] | None:
    """Take a store that lacks nothing, or nothing but its root, which is put back.

    Args:
        store: The store's folder, written by nobody else.
        schema: What it is to hold.
        ids: Its videos.
        provenance: How it is to be made.

    Returns:
        What the root says, its `ids` and `failed` among it; None if there is no such store.
    """
    if not (store / "provenance" / "zarr.json").is_file():
        return None
    root = _kept_root(store, provenance)
    if root is None or sorted([*root["ids"], *root["failed"]]) != sorted(ids):
        return None
    new = store.with_name(f".{store.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    zarr.create_group(new, attributes=root)
    (new / "zarr.json").replace(store / "zarr.json")
    shutil.rmtree(new)
    if not _is_whole(store, schema):
        (store / "zarr.json").unlink()
        return None
    log.info("%s was complete already: nothing is made again", store)
    return root


def _kept_root(store: Path, provenance: dict[str, Any]) -> dict[str, Any] | None:
    try:
        stored = json.loads((store / "provenance" / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        root = stored.pop("root")
        same = stored == json.loads(json.dumps(provenance)) and root.keys() >= {"ids", "failed"}
    except UNREADABLE:
        return None  # damaged, or of an earlier version: it is made again
    return dict(root) if same else None


def _is_whole(store: Path, schema: Schema) -> bool:
    try:
        check_store(store, schema)
    except (PipelineError, *UNREADABLE) as error:
        log.info("%s is damaged (%r): it is made again", store, error)
        return False
    return True
