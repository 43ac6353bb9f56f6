"""The file of a trained CAST: what was trained, and which experts it was trained over, which are files of their own.

One pair of experts serves any number of these files, and none of them holds the experts' weights again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline.config import CastSettings
from pipeline.errors import PipelineError
from pipeline.recognition.cast_body import CastBody
from pipeline.recognition.cast_part import CastPart
from pipeline.recognition.cast_recognizer import CastRecognizer, Experts, check_geometry, options_of, read_experts
from pipeline.recognition.model_file import CHANNELS, Heads, read_described
from pipeline.weights.loading import differences
from pipeline.weights.origin import RANDOM

KIND = "cast recognizer"


@dataclass(frozen=True)
class TrainedCast:
    """A recognizer of a file.

    Attributes:
        model: The network over its experts, in evaluation mode on the CPU.
        settings: What it was built by.
        heads: Names of the classes of each head, in the order of its logits.
        origin: Where the experts' weights come from, and those that its training began with if they were not drawn.
    """

    model: CastRecognizer
    settings: CastSettings
    heads: dict[str, list[str]]
    origin: str


def describe_cast(settings: CastSettings, heads: Heads, experts: Experts, begun: str = RANDOM) -> dict[str, str]:
    """Describe a recognizer as metadata of its safetensors file, which holds the tensors of its `part` alone.

    Args:
        settings: Of the recognizer.
        heads: Names of the classes of each head, in the order of its logits.
        experts: What it is trained over.
        begun: Where the weights of its `part` come from that the training begins with.
    """
    description = {
        "kind": KIND,
        "settings": settings.model_dump(mode="json"),
        "heads": {name: list(classes) for name, classes in heads.items()},
        "channels": CHANNELS,
        "arch": sizes_of(experts.body),
        "experts": dict(experts.digests),
        "origin": experts.origin if begun == RANDOM else f"{experts.origin}, trained from {begun}",
    }
    return {"description": json.dumps(description)}


def sizes_of(body: CastBody) -> dict[str, Any]:
    """The sizes of both experts, for whoever reads a file without them."""
    shared = {name: getattr(body.temporal, name) for name in ("image_size", "patch_size", "width", "heads")}
    frames = {"frames": body.temporal.frames, "tubelet": body.temporal.tubelet}
    return {**shared, "layers": body.depth, **frames, "activation": body.spatial.activation}


def read_cast(path: Path, encoders: Sequence[Path]) -> TrainedCast:
    """Build the trained recognizer of a file.

    Args:
        path: The file.
        encoders: The files of its spatial and its temporal expert.

    Raises:
        PipelineError: A file is missing, damaged or of another kind; the model was trained over other experts; or
            another version of the recognizer wrote it.
    """
    if len(encoders) != 2:
        raise PipelineError(f"{path} needs the files of its spatial and temporal expert, and {len(encoders)} are given")
    return read_over(path, read_experts(*encoders))


def read_over(path: Path, experts: Experts) -> TrainedCast:
    """Build the trained recognizer of a file over experts that were read before, which it shares; see `read_cast`."""
    again = f"run train_recognizer again (snakemake {path})"
    description, state = read_described(path, KIND, again)
    try:
        settings = CastSettings.model_validate_json(json.dumps(description["settings"]))
        heads = {str(name): [str(label) for label in labels] for name, labels in description["heads"].items()}
        _check_experts(path, settings, description["experts"], experts)
        check_geometry(settings, experts.body)
        with torch.device("meta"):  # nothing is drawn, and no memory filled, that the file's tensors take the place of
            part = CastPart(experts.body, {name: len(labels) for name, labels in heads.items()}, options_of(settings))
        found = differences(state, part.state_dict())
        if found:
            raise ValueError("; ".join(found))  # noqa: TRY301
        part.load_state_dict(state, strict=True, assign=True)
        origin = str(description["origin"])
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise PipelineError(f"{path} was trained by another version of the recognizer ({error}): {again}") from error
    return TrainedCast(CastRecognizer(experts.body, part).eval(), settings, heads, origin)


def _check_experts(path: Path, settings: CastSettings, trained: Mapping[str, str], experts: Experts) -> None:
    """Raise PipelineError if a model was trained over other experts than these."""
    named = {"spatial": settings.spatial, "temporal": settings.temporal}
    for role, name in named.items():
        if trained[role] != experts.digests[role]:
            raise PipelineError(
                f"{path}: the model was trained over another {role} expert than {experts.paths[role]} is now: give the "
                f"file of encoder {name} that it was trained with, or train again"
            )
