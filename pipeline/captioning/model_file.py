"""The file of a trained captioner: weights in safetensors, with all that is needed to build the model again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from pipeline.artifact.vocabulary_file import contents_of, vocabulary_of
from pipeline.captioning.captioner import Captioner
from pipeline.config import CaptionerModelSettings
from pipeline.errors import PipelineError
from pipeline.vocabulary import Vocabulary
from pipeline.weights.loading import differences

# The class of the settings and that of the network, for each kind of captioner; a file says "bidirectional captioner".
KINDS = {"bidirectional": (CaptionerModelSettings, Captioner)}
DIMS = ("node_dim", "motion_dim", "knowledge_dim", "object_dim", "max_nodes")
STORED = {"max_nodes": "places"}  # a size that the file calls by its older name


def describe_model(
    settings: CaptionerModelSettings,
    vocabulary: Vocabulary,
    node_dim: int,
    motion_dim: int,
    knowledge_dim: int = 0,
    object_dim: int = 0,
    max_nodes: int = 0,
) -> dict[str, str]:
    """Describe the model as metadata of its safetensors file; the sizes are the arguments of `Captioner`."""
    description = {
        "kind": f"{_kind_of(settings)} captioner",
        "model": settings.model_dump(mode="json"),
        **contents_of(vocabulary),
        "node_dim": node_dim,
        "motion_dim": motion_dim,
        "knowledge_dim": knowledge_dim,
        "object_dim": object_dim,
        STORED["max_nodes"]: max_nodes,
    }
    return {"description": json.dumps(description, sort_keys=True)}


def load_captioner(path: Path) -> tuple[Captioner, Vocabulary]:
    """Build the trained captioner of a file.

    Returns:
        The captioner, in evaluation mode on the CPU, and its vocabulary.

    Raises:
        PipelineError: The file is missing, damaged or no captioner, or another version of the captioner wrote it.
    """
    return _built(path)


def load_untrained(path: Path, seed: int) -> Captioner:
    """Build a captioner of the sizes of that of a file, whose weights are drawn as before training.

    What such a captioner seems to look at is what explanations of the trained one are held against (Adebayo et al.,
    "Sanity Checks for Saliency Maps", NeurIPS 2018).

    Returns:
        The captioner, in evaluation mode on the CPU.

    Raises:
        PipelineError: as `load_captioner` does.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _built(path, trained=False)[0]


def _built(path: Path, trained: bool = True) -> tuple[Captioner, Vocabulary]:
    again = f"run train_captioner again (snakemake {path})"
    description, state = read_described(path, [f"{kind} captioner" for kind in KINDS], again)
    kind = description["kind"].removesuffix(" captioner")
    shape, network = KINDS[kind]
    try:
        vocabulary = vocabulary_of(description)
        settings = shape.model_validate_json(json.dumps(description["model"]))
        sizes = {name: description[STORED.get(name, name)] for name in DIMS}
        _check_sizes(network, settings, len(vocabulary), sizes, state)
        model = network(settings, len(vocabulary), **sizes)
        if trained:
            model.load_state_dict(state)
    except (KeyError, ValueError, TypeError, RuntimeError, ZeroDivisionError) as error:
        raise PipelineError(f"{path} was trained by another version of the captioner ({error}): {again}") from error
    return model.eval(), vocabulary


def read_described(path: Path, kinds: Sequence[str], again: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what a model's file says of itself, and its tensors.

    Args:
        path: The file.
        kinds: What it may be, such as "bidirectional captioner".
        again: What to do about another file, as the end of a message.

    Raises:
        PipelineError: The file is missing, damaged or of another kind.
    """
    wanted = " or ".join(kinds)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise PipelineError(f"{path} is no readable model ({error}): {again}") from error
    try:
        description = json.loads(metadata.get("description", "{}"))
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{path} holds no {wanted} ({error}): {again}") from error
    if not isinstance(description, dict) or description.get("kind") not in kinds:
        raise PipelineError(f"{path} holds no {wanted}: {again}")
    return description, state


def _kind_of(settings: CaptionerModelSettings) -> str:
    return next(kind for kind, (shape, _) in KINDS.items() if isinstance(settings, shape))


def _check_sizes(
    network: type[Captioner],
    settings: CaptionerModelSettings,
    num_words: int,
    sizes: Mapping[str, Any],
    state: Mapping[str, Tensor],
) -> None:
    """Check, before any memory is filled, that the file holds the weights of a model of the sizes that it claims.

    Raises:
        TypeError: A size is no number.
        ValueError: A size is negative or larger than the file can hold, or the weights are those of another model.
    """
    most = sum(tensor.numel() for tensor in state.values())
    for name, size in {**settings.model_dump(), **sizes}.items():
        if name in DIMS and not isinstance(size, int):
            raise TypeError(f"`{name}` is no number")
        if isinstance(size, int) and not 0 <= size <= (len(state) if name.endswith("layers") else most):
            raise ValueError(f"`{name}` is {size}, more than the file holds")
    with torch.device("meta"):
        expected = network(settings, num_words, **sizes).state_dict()
    found = differences(state, expected)
    if found:
        raise ValueError("; ".join(found))
