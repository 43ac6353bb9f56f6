"""A trained captioner as one file: weights in safetensors, with all that is needed to build the model again."""

import json
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from pipeline.config import CaptionerModelSettings
from pipeline.errors import PipelineError
from pipeline.models.captioner import Captioner
from pipeline.training.vocabulary import Vocabulary

KIND = "bidirectional captioner"
DIMS = ("node_dim", "motion_dim", "knowledge_dim", "object_dim", "places")


def describe_model(
    settings: CaptionerModelSettings,
    vocabulary: Vocabulary,
    node_dim: int,
    motion_dim: int,
    knowledge_dim: int = 0,
    object_dim: int = 0,
    places: int = 0,
) -> dict[str, str]:
    """What the file says about the model, as safetensors metadata; the numbers are those that `Captioner` takes."""
    description = {
        "kind": KIND,
        "model": settings.model_dump(mode="json"),
        "words": list(vocabulary.words),
        "max_words": vocabulary.max_words,
        "node_dim": node_dim,
        "motion_dim": motion_dim,
        "knowledge_dim": knowledge_dim,
        "object_dim": object_dim,
        "places": places,
    }
    return {"description": json.dumps(description, sort_keys=True)}


def load_captioner(path: Path) -> tuple[Captioner, Vocabulary]:
    """Build a trained captioner, in evaluation mode on the CPU.

    Raises:
        PipelineError: if the file is missing, damaged or no captioner.
    """
    again = f"run train_captioner again (snakemake {path})"
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise PipelineError(f"{path} is no readable model ({error}): {again}") from error
    description = json.loads(metadata.get("description", "{}"))
    if description.get("kind") != KIND:
        raise PipelineError(f"{path} holds no {KIND}: {again}")
    vocabulary = Vocabulary(tuple(description["words"]), description["max_words"])
    try:
        settings = CaptionerModelSettings.model_validate_json(json.dumps(description["model"]))
        model = Captioner(settings, len(vocabulary), **{name: description[name] for name in DIMS})
        model.load_state_dict(state)
    except (KeyError, ValidationError, RuntimeError) as error:
        raise PipelineError(f"{path} was trained by another version of the captioner ({error}): {again}") from error
    return model.eval(), vocabulary
