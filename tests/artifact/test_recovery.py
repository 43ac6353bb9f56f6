"""A store that Snakemake took for incomplete: the root is gone, and all else is there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from toys.stores import THINGS

from pipeline.artifact.writing import Writer

IDS = ["a", "b", "bad", "c"]


def write(store: Path, setting: int = 1) -> list[str]:
    """Make the store; returns the videos that were worked on."""
    provenance = {"stage": "build_vocabulary", "settings": {"a": setting}, "inputs": {}}
    with Writer(store, THINGS, IDS, provenance) as writer:
        todo = writer.remaining
        for video_id in todo:
            if video_id == "bad":
                writer.fail(video_id, "the file is empty")
            else:
                rng = np.random.default_rng(ord(video_id))
                writer.append(video_id, x=rng.normal(size=(70, 5)), fps=np.array([25.0]))
    return todo


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Complete, and then taken for incomplete."""
    store = tmp_path / "things.zarr"
    assert write(store) == IDS
    (store / "zarr.json").rename(tmp_path / "root")
    return store


def test_no_video_is_done_again(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert write(store) == []
    assert (store / "zarr.json").read_bytes() == (store.parent / "root").read_bytes()
    assert sorted(path.name for path in store.parent.iterdir()) == ["root", "things.zarr"]
    assert "was complete already" in capsys.readouterr().err


def test_what_another_call_made_since_is_taken(store: Path, tmp_path: Path) -> None:
    (tmp_path / "root").rename(store / "zarr.json")
    assert write(store) == []
    assert write(store, setting=2) == IDS


def test_a_store_that_was_made_otherwise_is_made_again(store: Path) -> None:
    assert write(store, setting=2) == IDS
    assert json.loads((store / "provenance" / "zarr.json").read_text())["attributes"]["settings"] == {"a": 2}


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda store: flip(next(path for path in store.rglob("*/c/*") if path.is_file())),
        lambda store: shutil.rmtree(store / "fps"),
        lambda store: (store / "x" / "zarr.json").write_text("{}"),
        lambda store: (store / "provenance" / "zarr.json").write_text("{"),
        lambda store: (store / "provenance" / "zarr.json").unlink(),
    ],
    ids=["flipped", "array gone", "array unreadable", "provenance unreadable", "provenance gone"],
)
def test_a_damaged_store_is_made_again(store: Path, damage: object) -> None:
    damage(store)
    assert write(store) == IDS
    assert (store / "zarr.json").read_bytes() == (store.parent / "root").read_bytes()


def test_what_another_call_left_unfinished_is_removed(store: Path) -> None:
    partial = store.with_name(".things.zarr.partial")
    with pytest.raises(KeyboardInterrupt), Writer(store, THINGS, IDS, {"settings": "others"}):
        raise KeyboardInterrupt
    assert partial.is_dir()
    assert write(store) == []
    assert not partial.exists()
