"""Write weights as safetensors so that equal weights give equal files.

The library writes its metadata in an order that differs from call to call; Snakemake compares files, and would run
everything below again for it.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

LENGTH_BYTES = 8  # a safetensors file begins with the length of its JSON header, little-endian


def save_weights(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a state dict, renamed into place when complete.

    Args:
        state: Tensors by name, on any device, of any strides.
        path: The file.
        metadata: What the file says of itself; read again with `safetensors.safe_open`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    save_file({key: value.detach().cpu().contiguous() for key, value in state.items()}, new, dict(metadata))
    _sort_metadata(new)
    new.replace(path)


def _sort_metadata(path: Path) -> None:
    """Bring the metadata in the header into alphabetical order; the header keeps its length."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
        header = {"__metadata__": dict(sorted(header.pop("__metadata__", {}).items())), **header}
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise RuntimeError(f"{path}: the sorted header is {len(text)} bytes, longer than the {length} of the file")
        file.seek(LENGTH_BYTES)
        file.write(text.ljust(length))
