"""Read a trained recognizer of frames, of whichever kind its file holds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from pipeline.config import CastSettings, ConvolutionalSettings
from pipeline.errors import PipelineError
from pipeline.recognition.backbones.choice import colours_of
from pipeline.recognition.cast_file import KIND as CAST
from pipeline.recognition.cast_file import read_cast
from pipeline.recognition.cast_recognizer import COLOURS, CastRecognizer
from pipeline.recognition.model_file import read_recognizer
from pipeline.recognition.recognizer import Recognizer


class Trained(NamedTuple):
    """A recognizer that is shown frames.

    Attributes:
        model: The network, in evaluation mode on the CPU.
        settings: What it was built by.
        heads: Names of the classes of each head, in the order of its logits.
        colours: Channels of the frames that it takes.
    """

    model: Recognizer | CastRecognizer
    settings: ConvolutionalSettings | CastSettings
    heads: dict[str, list[str]]
    colours: int


def read_trained(path: Path, experts: Sequence[Path]) -> Trained:
    """Build the trained recognizer of a file.

    Args:
        path: The file.
        experts: The files of the spatial and the temporal expert of a cast recognizer; nothing for others.

    Raises:
        PipelineError: A file is missing, damaged or of another kind; a cast recognizer was trained over other experts,
            or is given without any; or another version of the recognizer wrote it.
    """
    if experts:
        cast = read_cast(path, experts)
        return Trained(cast.model, cast.settings, cast.heads, COLOURS)
    if is_cast(path):
        raise PipelineError(f"{path}: a cast recognizer needs the files of its two experts: give --experts")
    found = read_recognizer(path)
    return Trained(found.model, found.settings, found.heads, colours_of(found.settings.backbone))


def is_cast(path: Path) -> bool:
    """Whether a file says that it holds a cast recognizer; what cannot be read says nothing."""
    try:
        with safe_open(path, "pt") as file:
            description = json.loads((file.metadata() or {}).get("description", "{}"))
    except (OSError, SafetensorError, ValueError, RecursionError):
        return False
    return isinstance(description, dict) and description.get("kind") == CAST
