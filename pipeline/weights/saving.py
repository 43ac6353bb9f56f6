"""Write weights as safetensors so that equal weights give equal files.

The library writes its metadata in an order that differs from call to call; Snakemake compares files, and would re-run
everything that depends on them.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from pipeline.jobs.storage import replaced

LENGTH_BYTES = 8  # a safetensors file begins with the length of its JSON header, little-endian


def save_weights(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a state dict to a file, which is renamed into place when it is complete.

    Args:
        state: Tensors by name, on any device, of any strides.
        path: The file.
        metadata: Texts that the file says of itself; `safetensors.safe_open` reads them.
    """
    # In memory first: when a disk is full, the library's own writer raises an error that tells no reason.
    content = save({key: value.detach().cpu().contiguous() for key, value in state.items()}, dict(metadata))
    start, header = _sort_metadata(content)
    with replaced(path, len(content)) as new, new.open("wb") as file:
        file.write(header)
        file.write(memoryview(content)[start:])


def _sort_metadata(content: bytes) -> tuple[int, bytes]:
    """Find where the tensors begin; return that and the bytes before them, equally long, with sorted metadata."""
    start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    header = json.loads(content[LENGTH_BYTES:start])
    header = {"__metadata__": dict(sorted(header.pop("__metadata__", {}).items())), **header}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > start - LENGTH_BYTES:
        raise RuntimeError(f"the sorted header is {len(text)} bytes, longer than the {start - LENGTH_BYTES} there are")
    return start, content[:LENGTH_BYTES] + text.ljust(start - LENGTH_BYTES)
