"""Take over a store that is complete although Snakemake takes it for unfinished.

Jobs outlive a Snakemake that is killed, on a cluster always. The next call takes what such a job finishes for
incomplete: it deletes the only file of it that it knows, the root `zarr.json`, and starts the job again. The root is
therefore kept twice. It is put back if the store was made as this job would make it and its data have the recorded
digest, and no video is computed again. A store that has its root is taken over in the same way: Snakemake deleted the
root before it started this job, so another call has made the store since.
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
    """Take over a store that is complete, or that lacks only its root, which is put back.

    Args:
        store: The store's folder, which no other process writes.
        schema: The schema that it must have.
        ids: Ids of the videos that it must hold or have left out.
        provenance: The provenance that it must have.

    Returns:
        The attributes of the root, `ids` and `failed` among them; None if there is no such store.
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
