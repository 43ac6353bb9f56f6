"""Delete artifacts: only below the results, never through a link, and never half."""

import shutil
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.upkeep.inventory import HIDDEN, Inventory, size_of


def expect_nobody_at_work(inventory: Inventory) -> None:
    """Refuse to delete while Snakemake works on the results.

    Raises:
        PipelineError: if Snakemake's lock is there, because it works or was killed.
    """
    locks = inventory.project / ".snakemake" / "locks"
    if locks.is_dir() and any(locks.iterdir()):
        raise PipelineError(
            f"{inventory.project}: Snakemake is at work here, or was killed: nothing was removed; wait for it, or "
            "run `snakemake --unlock` if it runs no more"
        )


def remove(inventory: Inventory, place: Path) -> int:
    """Delete an artifact or a hidden sibling of one.

    An artifact is renamed first: what a kill leaves of it is then no artifact, and the next call finds it.

    Args:
        inventory: The inventory that lists it.
        place: The file or folder.

    Returns:
        How many bytes it took; 0 if it is no longer there.

    Raises:
        PipelineError: if it is a link by now, is behind one, or is not below the results.
    """
    if place.is_symlink() or place.parent.resolve() != place.parent or not place.is_relative_to(inventory.results):
        raise PipelineError(f"{place} is a link, or behind one: it was left alone; remove it by hand")
    if not place.exists():
        return 0  # somebody else has removed it since it was listed
    num_bytes = size_of(place)
    if not HIDDEN.fullmatch(place.name):
        hidden = place.with_name(f".{place.name}.removed")
        _delete(hidden)
        place = place.rename(hidden)
    _delete(place)
    return num_bytes


def _delete(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def remove_empty_folders(inventory: Inventory, folder: Path) -> None:
    """Delete a folder and the folders above it, up to the results, as long as they are empty."""
    while folder != inventory.results and folder.is_relative_to(inventory.results) and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
