from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from pipeline.weights.saving import save_weights


def test_equal_weights_give_equal_files_that_hold_what_was_saved(tmp_path: Path) -> None:
    state = {"b": torch.arange(6.0).view(2, 3).T, "a": torch.ones(2, dtype=torch.float16), "none": torch.zeros(0)}
    metadata = {
        "kind": "clip4clip",
        "origin": 'file "\u00e4\n\u007f.bin"',
        "arch": '{"width": 3}',
        "activation": "gelu",
    }
    contents = set()
    for number in range(20):
        path = tmp_path / str(number) / "weights.safetensors"
        save_weights(state, path, metadata)
        contents.add(path.read_bytes())
        assert [entry.name for entry in path.parent.iterdir()] == ["weights.safetensors"]
    assert len(contents) == 1
    loaded = load_file(path)
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    assert loaded.keys() == state.keys()
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == metadata
