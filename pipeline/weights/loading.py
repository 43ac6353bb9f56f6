"""Read a file of weights and compare it with a network, tensor by tensor: none is made up, and none is passed over.

Pickles are read without running what they hold (`weights_only`). Messages say what differs, and give a table of what
fits.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from pipeline.errors import PipelineError

log = logging.getLogger(__name__)

BATCH_COUNT = ".num_batches_tracked"  # of BatchNorm: nothing uses it, and files of PyTorch before 0.4.1 have none
NAMED = 3  # tensors that a message names; it counts the others


def read_state(path: Path, example: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a flat state dict of tensors and the metadata of a safetensors file (nothing for a pickle).

    Args:
        path: A safetensors file, told by its suffix or its first bytes, or a file that `torch.save` wrote.
        example: Name of a file of the kind, for messages.

    Raises:
        PipelineError: if the file is not there, damaged, a TorchScript archive, or holds other things than tensors.
    """
    if not path.is_file():
        raise PipelineError(f"weights: there is no file {path}; name for example {example}, or write random")
    try:
        if path.suffix == ".safetensors" or _starts_like_safetensors(path):
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no pickle make torch raise KeyError, struct.error and many others
        if "TorchScript" in str(error):
            raise PipelineError(f"{path} is a TorchScript archive of OpenAI; write weights: openai instead") from error
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(f"{path} cannot be read as weights ({reason}); expected a state dict of tensors") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise PipelineError(f"{path} is not a flat state dict of tensors, as {example} is")
    return state, {}


def _starts_like_safetensors(path: Path) -> bool:
    """Whether the file begins with the length of a JSON header and a brace; URLs need not end in `.safetensors`."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def load_strictly(
    model: nn.Module,
    state: Mapping[str, Tensor],
    *,
    refusal: str,
    advice: str = "",
    matched: str,
    depth: int,
    level: int,
    left_out: Mapping[str, str] | None = None,
) -> None:
    """Give a network the tensors of a file, in the network's own types, and put it in eval mode; or refuse the file.

    Args:
        model: The network; one on the meta device has no memory of its own and takes over the tensors of the file.
        state: The tensors of the file, under the network's names. Counts of batches may be missing: they become 0.
        refusal: Start of the error about a file that does not fit: the file, and what was expected.
        advice: End of that error, after what differs.
        matched: Start of the message about a file that fits, before the table of what was matched.
        depth: Number of components of a tensor's name that make a module of the table.
        level: Logging level of the message with the table.
        left_out: Names of other tensors of the file, and why they are not used.

    Raises:
        PipelineError: if a tensor is missing, unknown or of another shape; the message names some of each.
    """
    expected = model.state_dict()
    found = differences(state, expected)
    if found:
        raise PipelineError(f"{refusal}: {'; '.join(found)}{advice}")
    log.log(level, "%s\n%s", matched, match_table(state, expected, depth, left_out or {}))
    # A plain dict has no version. One that `torch.save` wrote has, and torch asks newer ones for counts of batches.
    own = {key: value.to(expected[key].dtype) for key, value in state.items()}
    model.load_state_dict(own, strict=True, assign=any(tensor.is_meta for tensor in expected.values()))
    model.eval()


def differences(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Say what keeps a state dict from loading; the list is empty if it fits. Counts of batches may be missing."""
    shapes = [
        f"{key} is {list(state[key].shape)}, not {list(tensor.shape)}"
        for key, tensor in expected.items()
        if key in state and state[key].shape != tensor.shape
    ]
    missing = sorted(key for key in expected.keys() - state.keys() if not key.endswith(BATCH_COUNT))
    lists = {"shapes": shapes, "missing": missing, "unknown": sorted(state.keys() - expected.keys())}
    return [f"{what}: {some(keys)}" for what, keys in lists.items() if keys]


def some(names: Sequence[str]) -> str:
    """Name the first of a list, and say how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def match_table(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], depth: int, left_out: Mapping[str, str]
) -> str:
    """Make a table of what went from a file into a network, module by module, and of what did not.

    Args:
        state: The tensors of the file, under the network's names, in the types of the file.
        expected: The tensors of the network.
        depth: Number of components of a tensor's name that make a module.
        left_out: Names of other tensors of the file, and why they are not used.

    Returns:
        Lines of text: each module with its count of tensors and of numbers; the sums; what is missing, left out or of
        another type.
    """
    tensors: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    for key in expected.keys() & state.keys():
        module = ".".join(key.split(".")[:-1][:depth]) or key
        tensors[module] += 1
        numbers[module] += state[key].numel()
    modules = sorted(tensors)
    width = max(map(len, [*modules, "in all"]))
    rows = [(name, tensors[name], numbers[name]) for name in modules]
    rows.append(("in all", tensors.total(), numbers.total()))
    lines = [f"  {name:<{width}} {count:>6,} tensors {size:>14,} numbers" for name, count, size in rows]
    missing = len(expected.keys() - state.keys())
    lines += [f"  not in the file: {missing} counts of batches, which nothing uses"] if missing else []
    reasons = Counter((key.partition(".")[0], why) for key, why in left_out.items())
    lines += [f"  left out: {count} tensors of {part} ({why})" for (part, why), count in sorted(reasons.items())]
    cast = Counter(
        f"{state[key].dtype} to {expected[key].dtype}".replace("torch.", "")
        for key in expected.keys() & state.keys()
        if state[key].dtype != expected[key].dtype
    )
    lines += [f"  {count} tensors brought from {types}" for types, count in sorted(cast.items())]
    return "\n".join(lines)
