"""Whether one store is whole. How `verify` tells of many is tested in upkeep/."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from toys.stores import THINGS

from pipeline.artifact import create
from pipeline.artifact.checking import DamagedError, OutdatedError, StoredRows, check_store, provenance
from pipeline.schemas import Schema


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "things.zarr"
    settings = {"stage": "build_vocabulary", "settings": {"a": 1}, "inputs": {}}
    with create(path, THINGS, ids=["a", "bad", "b"], **settings) as writer:
        writer.append("a", "1 decoded frames are damaged", x=np.ones((3, 2)), fps=np.array([25.0]))
        writer.fail("bad", "the file is empty")
        writer.append("b", x=np.arange(10.0).reshape(5, 2), fps=np.array([10.0]))
    return path


def test_a_store_as_it_was_written_passes(store: Path):
    check_store(store, THINGS)
    assert provenance(store)["settings"] == {"a": 1}


@pytest.mark.parametrize(
    ("name", "message"), [("x/c/0/0", "array `x` is damaged"), ("fps/c/0", "array `fps` is damaged")]
)
def test_a_flipped_bit_of_an_array_is_damage(store: Path, name: str, message: str):
    content = bytearray((store / name).read_bytes())
    content[5] ^= 1
    (store / name).write_bytes(content)
    with pytest.raises(DamagedError, match=message):
        check_store(store, THINGS)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"1 decoded", b"2 decoded"), (b"the file is empty", b"the file is empti"), (b'"b"],', b'"c"],')],
)
def test_another_word_in_the_root_is_damage(store: Path, old: bytes, new: bytes):
    root = json.dumps(json.loads((store / "zarr.json").read_bytes()), separators=(",", ":")).encode()
    (store / "zarr.json").write_bytes(root)
    check_store(store, THINGS)
    assert old in root
    (store / "zarr.json").write_bytes(root.replace(old, new))
    with pytest.raises(DamagedError, match="its data have digest"):
        check_store(store, THINGS)


def test_another_version_is_outdated_not_damaged(store: Path):
    newer = Schema(THINGS.name, 2, THINGS.stage, THINGS.arrays)
    with pytest.raises(OutdatedError, match="holds things version 1, expected version 2"):
        check_store(store, newer)


def test_links_are_damage(store: Path, tmp_path: Path):
    (store / "x/c/0/0").rename(tmp_path / "elsewhere")
    (store / "x/c/0/0").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedError, match="x/c/0/0 is a link, which no stage writes"):
        check_store(store, THINGS)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"attributes": {"stage": "s"}}'])
def test_a_store_must_say_how_it_was_made(store: Path, content: str | None):
    path = store / "provenance" / "zarr.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(DamagedError, match=r"provenance/zarr\.json does not say how it was made"):
        provenance(store)


def test_rows_are_read_a_few_at_a_time(store: Path):
    rows = StoredRows(store / "x", zarr.open_group(store, mode="r")["x"])
    assert (len(rows), rows.shape, rows.nbytes) == (8, (8, 2), 8 * 2 * 4)
    assert rows[2:5].tolist() == [[1, 1], [0, 1], [2, 3]]
