"""Read a file of weights and compare it with a network, tensor by tensor: none is made up, and none is passed over.

Pickles are read without running what they hold (`weights_only`, and `pipeline.weights.archive` for TorchScript). A file
that holds no weights is called what it is. Messages say what differs, and give a table of what fits.
"""

import argparse
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.weights.archive import Archive, is_tensor, names_in_zip
from pipeline.weights.forms import foreign, naming, of_pickle

log = logging.getLogger(__name__)

BATCH_COUNT = ".num_batches_tracked"  # of BatchNorm: nothing uses it, and files of PyTorch before 0.4.1 have none
# What trainings put around a state dict, which says nothing of the network: keys of a dict that holds it (`module` is
# DeepSpeed's), and prefixes of all names (of torch's DataParallel and DistributedDataParallel, and of torch.compile).
WRAPS = ("state_dict", "model_state_dict", "model_state", "model", "module")
PREFIXES = ("module.", "_orig_mod.")
NAMED = 3  # tensors that a message names; it counts the others


def read_state(path: Path, example: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a file, and what it says of itself.

    What trainings put around a state dict is taken off: a dict that holds it beside other things (`WRAPS`), and a
    prefix of all its names (`PREFIXES`).

    Args:
        path: A safetensors file, a file that `torch.save` wrote, or a TorchScript archive, each told by its content.
        example: Name of a file of the kind, for messages.

    Returns:
        The tensors by name; and the metadata of a safetensors file, or for others their `format`: `TorchScript`, with
        the text of its program as `code`, or `Lightning` with its version; and the `cfg` that PySlowFast puts beside a
        state dict.

    Raises:
        PipelineError: if the file is not there, is something else (the message says what), or holds no state dict.
    """
    if not path.exists():
        raise PipelineError(f"weights: there is no file {path}; name for example {example}, or write random")
    try:
        other = foreign(path)
    except OSError as error:
        raise PipelineError(f"{path} cannot be read ({error.strerror})") from error
    if other is not None:
        raise PipelineError(f"{path} is {other}; it cannot be read as weights, as {example} can")
    if _starts_like_safetensors(path):
        try:
            with safe_open(path, framework="pt") as file:
                metadata = dict(file.metadata() or {})
                return _bare({key: file.get_tensor(key) for key in file.keys()}), metadata  # noqa: SIM118
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise PipelineError(
                f"{path} is a safetensors file that is damaged or cut off, and cannot be read as weights ({reason}): "
                "fetch it again"
            ) from error
    if any(name.endswith("/constants.pkl") for name in names_in_zip(path)):
        return _read_torchscript(path)
    held = _read_pickled(path, example)
    state = held if _is_state(held) else _wrapped(held)
    if state is None:
        of = f"a dict of {some(sorted(map(str, held)))}" if isinstance(held, dict) else f"a {type(held).__name__}"
        raise PipelineError(f"{path} is a file of torch.save with {of}, and no state dict of tensors, as {example} is")
    version = held.get("pytorch-lightning_version")
    said = {"format": f"Lightning {version}"} if version is not None else {}
    return _bare(state), said | ({"cfg": held["cfg"]} if isinstance(held.get("cfg"), str) else {})


def _read_torchscript(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        archive = Archive(path)
        return _bare(archive.state_of_module()), {"format": "TorchScript", "code": archive.code()}
    except Exception as error:  # the unpickler and zipfile raise errors of many kinds, too
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise PipelineError(
            f"{path} is a TorchScript archive that is damaged or of an unknown form, and cannot be read as weights "
            f"({reason}): fetch it again, or save its state dict with torch.save"
        ) from error


def _read_pickled(path: Path, example: str) -> Any:
    """What torch reads in a file without making other objects than tensors, or what else can be read of it.

    Raises:
        PipelineError: if nothing can; the message says what the file is, and never how to read it less carefully.
    """
    try:
        # By its content: of a path, torch looks at the suffix, too. Arguments are names and values, and do nothing.
        with path.open("rb") as file, torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no pickle make torch raise KeyError, struct.error and many others
        held = _beside_objects(path)
        if held is None:
            raise PipelineError(
                f"{path} is {of_pickle(path)}; it cannot be read as weights: expected a state dict of tensors alone, "
                f"as `torch.save(model.state_dict(), ...)` writes it and {example} is"
            ) from error
        return held


def _beside_objects(path: Path) -> dict[str, Any] | None:
    """A training's state dict, read out of an archive with objects of other libraries, none of which is made."""
    try:
        archive = Archive(path)
        held = archive.top
        found = [key for key in WRAPS if isinstance(held.get(key), dict) and held[key]]
        if len(found) != 1 or not all(is_tensor(value) for value in held[found[0]].values()):
            return None
        state = {str(key): archive.tensor(value) for key, value in held[found[0]].items()}
    except Exception:  # whatever is wrong with it, the caller says what the file is
        return None
    log.info("%s: the state dict in it was read, and the objects beside it were not made", path)
    beside = {key: held[key] for key in ("pytorch-lightning_version", "cfg") if isinstance(held.get(key), str)}
    return {found[0]: state} | beside


def _is_state(held: Any) -> bool:
    """Whether something is a dict of tensors."""
    return isinstance(held, dict) and bool(held) and all(isinstance(value, Tensor) for value in held.values())


def _wrapped(held: Any) -> dict[str, Tensor] | None:
    """The state dict that a training saved beside other things; None if there is none, or more than one."""
    found = [held[key] for key in WRAPS if _is_state(held.get(key))] if isinstance(held, dict) else []
    return found[0] if len(found) == 1 else None


def _bare(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off the prefixes that all names of a state dict have because the network ran inside a wrapper."""
    bare = dict(state)
    while bare and any(all(key.startswith(prefix) for key in bare) for prefix in PREFIXES):
        bare = {key.partition(".")[2]: value for key, value in bare.items()}
    return bare


def described(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Name a file in an error about its tensors, with what it is where that explains them."""
    form = metadata.get("format", "")
    what = [f"a {form} checkpoint"] if form.startswith("Lightning") else []
    what += ["a TorchScript archive"] if form == "TorchScript" else []
    what += [of] if (of := naming(state)) else []
    first = {key.partition(".")[0] for key in state}
    if form.startswith("Lightning") and len(first) == 1:
        what.append(f"all below `{first.pop()}.`, whose state dict is wanted alone")
    return f"{path} ({', '.join(what)})" if what else str(path)


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
