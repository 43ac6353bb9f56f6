"""Find what `verify` can judge at a place: results, a part of them, and stores that lie outside any results.

Results are recognised by the paths of what is in them, whatever their folder is called. A store is recognised by its
own metadata, so that one that was copied elsewhere, alone or renamed, can still be compared with its own digest.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.schemas import SCHEMAS
from pipeline.upkeep.inventory import HIDDEN, Found, Inventory, take_inventory
from pipeline.workflow.paths import locate

ANY_KIND = "frames"  # a store outside results that is too damaged to say its kind: all of them are checked alike


def look_at(place: Path) -> tuple[list[Inventory], list[Found]]:
    """List the results at a place, and the stores there that are outside of any results.

    Args:
        place: A folder that holds results or stores, a folder of results or in one, a store, or a file of an artifact.

    Returns:
        The inventories of what lies at the place, one for each folder of results; and stores without a target.

    Raises:
        PipelineError: if there is no such place, or nothing at it that can be judged.
    """
    if not place.exists():
        raise PipelineError(f"{place}: there is no such folder: name the folder `results` of a project, or a store")
    start = Path(os.path.abspath(place))  # noqa: PTH100, resolving would follow links
    start = start.parent if start.name == "zarr.json" else start
    roots: dict[Path, None] = {}
    if start.is_dir() and _holds_anything(take_inventory(start)):
        roots[start] = None
    outside: list[Found] = []
    for path in _candidates(start):
        root = _results_of(path)
        if root is not None and (path.is_dir() or root.name == "results" or start.is_relative_to(root)):
            roots[root] = None
        elif path.is_dir() and (kind := _kind_of(path)):
            outside.append(Found(kind, {}, path, ""))
    inventories = [take_inventory(root, start if start.is_relative_to(root) else None) for root in roots]
    inventories = [inventory for inventory in inventories if _holds_anything(inventory)]
    if not inventories and not outside:
        raise PipelineError(
            f"{place}: nothing to verify: no artifact of this workflow is there; name the folder `results` of a "
            "project, or a store"
        )
    return inventories, outside


def _holds_anything(inventory: Inventory) -> bool:
    return bool(inventory.artifacts or inventory.leftovers or inventory.unreadable)


def _candidates(place: Path) -> Iterator[Path]:
    """The place itself if it is a store or a file; otherwise the stores and files in it, without what is in a store."""
    if _is_store(place) or place.is_file():
        yield place
        return
    for folder, folders, files in os.walk(place):
        here = Path(folder)
        stores = [name for name in sorted(folders) if _is_store(here / name)]
        hidden = [name for name in sorted(folders) if HIDDEN.fullmatch(name)]
        folders[:] = sorted(set(folders) - {*stores, *hidden})
        for name in (*stores, *hidden, *sorted(files)):
            if not (here / name).is_symlink():
                yield here / name


def _is_store(path: Path) -> bool:
    return path.is_dir() and (path.suffix == ".zarr" or (path / "zarr.json").is_file())


def _results_of(path: Path) -> Path | None:
    """The folder of results that an artifact, or the hidden sibling of one, is in by its path; None if it is in none.

    A folder behind a link is in none.
    """
    hidden = HIDDEN.fullmatch(path.name)
    of = path.with_name(hidden["name"]) if hidden else path
    located = locate(of / "zarr.json" if of.suffix == ".zarr" else of)
    if located is None:
        return None
    root = located.path.parents[len(Path(located.below).parts) - 1]
    return root if path.resolve().is_relative_to(root.resolve()) else None


def _kind_of(store: Path) -> str | None:
    """The kind of a store, as its root or the copy of that in its provenance says; None if it is of another program."""
    told = [_attributes(store), _attributes(store / "provenance").get("root", {})]
    kinds = [attributes.get("schema") for attributes in told if isinstance(attributes, dict)]
    known = [kind for kind in kinds if isinstance(kind, str) and kind in SCHEMAS]
    if known:
        return known[0]
    return ANY_KIND if (store / "provenance").is_dir() else None


def _attributes(group: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((group / "zarr.json").read_text(encoding="utf-8"))["attributes"])
    except (OSError, ValueError, LookupError, TypeError):
        return {}  # damaged, or none: what checks the store says so
