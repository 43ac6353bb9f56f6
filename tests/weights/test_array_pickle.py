"""Pickles of NumPy arrays, whose bytes are read and whose wishes are not granted."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.weights.array_pickle import is_array_pickle, read_arrays

ARRAYS = {
    "a_w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.asfortranarray(np.arange(6.0).reshape(3, 2)),
    "big": np.array([1, 2], dtype=">f4"),
    "one": np.array(3, dtype=np.int64),
    "none": np.zeros((0, 4), dtype=np.float32),
}


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_arrays_of_every_protocol_are_read(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"blobs": ARRAYS, "lr": 0.1}, protocol=protocol))
    assert is_array_pickle(path)
    found = read_arrays(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert np.array_equal(found[name].numpy(), array)
        assert found[name].shape == array.shape


class Touch:
    """Makes a folder when it is unpickled freely."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_beside_arrays_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({**ARRAYS, "evil": Touch(tmp_path / "ran")}, protocol=2))
    assert set(read_arrays(path)) == set(ARRAYS)
    assert not (tmp_path / "ran").exists()


def test_arrays_that_lie_of_their_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    content = pickle.dumps({"a": np.zeros((2, 3), np.float32)}, protocol=2)
    path.write_bytes(content.replace(b"K\x02K\x03\x86", b"K\x02K\x09\x86"))
    with pytest.raises(ValueError, match=r"its array a of \[2, 9\] does not have the bytes"):
        read_arrays(path)
    path.write_bytes(pickle.dumps({"a": np.array([{}], dtype=object)}, protocol=2))
    with pytest.raises(ValueError, match="its array a is none of numbers"):
        read_arrays(path)
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")  # a memo of two billion places
    with pytest.raises(ValueError, match="wants place 2147483647 of its memo"):
        read_arrays(path)
    path.write_bytes(pickle.dumps([1, 2], protocol=2))
    with pytest.raises(ValueError, match="a list, no dict of arrays"):
        read_arrays(path)


def test_other_files_are_not_taken_for_pickles_of_arrays(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "new.pt")
    torch.save({"a": torch.zeros(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": [1, 2]}))
    (tmp_path / "empty").write_bytes(b"")
    assert not any(is_array_pickle(tmp_path / name) for name in ("new.pt", "old.pt", "plain.pkl", "empty"))
