"""The file of a trained recognizer: weights in safetensors, with all that is needed to build the network again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from pipeline.config import ConvolutionalSettings
from pipeline.errors import PipelineError
from pipeline.recognition.recognizer import Recognizer, build_recognizer
from pipeline.weights.loading import differences

KIND = "convolutional recognizer"
CHANNELS = "rgb"  # the order of the colours that a recognizer takes
Heads = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class TrainedRecognizer:
    """A recognizer of a file.

    Attributes:
        model: The network, in evaluation mode on the CPU.
        settings: What it was built by, its geometry and the form of its pixels among them.
        heads: Names of the classes of each head, in the order of its logits.
        origin: Where its weights come from, in the words of `pipeline.weights.origin`.
    """

    model: Recognizer
    settings: ConvolutionalSettings
    heads: dict[str, list[str]]
    origin: str


def describe(settings: ConvolutionalSettings, heads: Heads, origin: str) -> dict[str, str]:
    """Describe a recognizer as metadata of its safetensors file.

    Args:
        settings: Of the recognizer.
        heads: Names of the classes of each head, in the order of its logits.
        origin: Where its weights come from.
    """
    description = {
        "kind": KIND,
        "settings": settings.model_dump(mode="json"),
        "heads": {name: list(classes) for name, classes in heads.items()},
        "channels": CHANNELS,
        "origin": origin,
    }
    return {"description": json.dumps(description)}


def read_recognizer(path: Path) -> TrainedRecognizer:
    """Build the trained recognizer of a file.

    Raises:
        PipelineError: The file is missing, damaged or no recognizer, or another version of the recognizer wrote it.
    """
    again = f"run train_recognizer again (snakemake {path})"
    description, state = read_described(path, KIND, again)
    try:
        settings = ConvolutionalSettings.model_validate_json(json.dumps(description["settings"]))
        heads = {str(name): [str(label) for label in labels] for name, labels in description["heads"].items()}
        sizes = {name: len(labels) for name, labels in heads.items()}
        with torch.device("meta"):  # before any memory is filled
            expected = build_recognizer(settings, sizes).state_dict()
        _check_same(state, expected)
        model = build_recognizer(settings, sizes)
        model.load_state_dict(state)
        origin = str(description["origin"])
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise PipelineError(f"{path} was trained by another version of the recognizer ({error}): {again}") from error
    return TrainedRecognizer(model.eval(), settings, heads, origin)


def _check_same(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise a ValueError if a tensor is missing, unknown or of another shape."""
    found = differences(state, expected)
    if found:
        raise ValueError("; ".join(found))


def read_described(path: Path, kind: str, again: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what a file says of itself, and its tensors.

    Args:
        path: A safetensors file with a `description` in its metadata.
        kind: What it must be.
        again: What to do about another file, as the end of a message.

    Raises:
        PipelineError: The file is missing, damaged or of another kind.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise PipelineError(f"{path} is no readable model ({error}): {again}") from error
    try:
        description = json.loads(metadata.get("description", "{}"))
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{path} holds no {kind} ({error}): {again}") from error
    if not isinstance(description, dict) or description.get("kind") != kind:
        raise PipelineError(f"{path} holds no {kind}: {again}")
    return description, state
