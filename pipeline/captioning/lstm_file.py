"""The file of a trained LSTM captioner: weights in safetensors, with all that is needed to build the model again."""

import json
from pathlib import Path

import torch

from pipeline.artifact.vocabulary_file import contents_of, vocabulary_of
from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.captioning.model_file import read_described
from pipeline.config import LstmModelSettings
from pipeline.errors import PipelineError
from pipeline.vocabulary import Vocabulary
from pipeline.weights.loading import differences

KIND = "lstm captioner"


def describe_lstm(settings: LstmModelSettings, vocabulary: Vocabulary, channels: int) -> dict[str, str]:
    """Describe the model as metadata of its safetensors file.

    Args:
        settings: Widths, and what is attended to.
        vocabulary: Its words.
        channels: Channels of a map.
    """
    description = {"kind": KIND, "model": settings.model_dump(mode="json"), **contents_of(vocabulary)}
    return {"description": json.dumps({**description, "channels": channels}, sort_keys=True)}


def load_lstm(path: Path) -> tuple[LstmCaptioner, Vocabulary]:
    """Build the trained captioner of a file.

    Returns:
        The captioner, in evaluation mode on the CPU, and its vocabulary.

    Raises:
        PipelineError: The file is missing, damaged or no LSTM captioner, or another version of the captioner wrote it.
    """
    again = f"run train_lstm again (snakemake {path})"
    description, state = read_described(path, [KIND], again)
    try:
        vocabulary = vocabulary_of(description)
        settings = LstmModelSettings.model_validate_json(json.dumps(description["model"]))
        channels = description["channels"]
        if not isinstance(channels, int):
            raise TypeError("`channels` is no number")  # noqa: TRY301
        with torch.device("meta"):  # before any memory is filled
            expected = LstmCaptioner(settings, len(vocabulary), channels).state_dict()
        found = differences(state, expected)
        if found:
            raise ValueError("; ".join(found))  # noqa: TRY301
        model = LstmCaptioner(settings, len(vocabulary), channels)
        model.load_state_dict(state)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise PipelineError(f"{path} was trained by another version of the captioner ({error}): {again}") from error
    return model.eval(), vocabulary


def require_channels(captioner: LstmCaptioner, channels: int, path: Path) -> None:
    """Raise PipelineError if maps of so many channels are not those that the captioner of a file reads."""
    expected = captioner.projection.in_channels
    if channels != expected:
        raise PipelineError(
            f"{path}: the captioner reads maps of {expected} channels, these have {channels}: run train_lstm again "
            f"(snakemake {path})"
        )
