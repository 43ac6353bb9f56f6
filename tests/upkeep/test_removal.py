"""What is removed, and what is gone already."""

import shutil
from pathlib import Path

from pipeline.upkeep.inventory import size_of, take_inventory
from pipeline.upkeep.removal import remove

from .conftest import NODES_OF_HOME


def test_a_store_is_removed_with_its_bytes_told(results: Path) -> None:
    store = results / NODES_OF_HOME
    num_bytes = size_of(store)
    assert num_bytes > 0
    assert remove(take_inventory(results), store) == num_bytes
    assert not store.exists()
    assert not store.with_name(f".{store.name}.removed").exists()


def test_what_somebody_else_has_removed_meanwhile_took_no_bytes(results: Path) -> None:
    inventory = take_inventory(results)
    store = results / NODES_OF_HOME
    shutil.rmtree(store)
    assert remove(inventory, store) == 0
