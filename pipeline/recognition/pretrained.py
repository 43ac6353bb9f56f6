"""Give a recognizer's backbone the weights that its settings name, before it is trained.

The weights of an experiment are its backbone's alone: neither its modules nor its heads are taken over.
"""

from pathlib import Path

from pipeline.config import BackboneSettings, ConvolutionalSettings
from pipeline.config.backbones import OfExperiment
from pipeline.errors import PipelineError
from pipeline.recognition.model_file import read_recognizer
from pipeline.recognition.recognizer import Recognizer
from pipeline.weights.origin import RANDOM

NOT_COMPARED = {"weights", "seed"}


def load_backbone(recognizer: Recognizer, path: Path | None, settings: ConvolutionalSettings) -> str:
    """Load the backbone's weights.

    Args:
        recognizer: Its backbone gets the weights; its modules and heads stay as they were drawn.
        path: The file: that of `weights: FILE` or of its URL, or the model of the experiment that `weights` names;
            None for `weights: random`.
        settings: Of the recognizer.

    Returns:
        Where the weights come from, in the words of `pipeline.weights.origin`.

    Raises:
        PipelineError: if the file holds another backbone; the message says what differs.
    """
    weights = settings.backbone.weights
    if path is None:
        return RANDOM
    if isinstance(weights, OfExperiment):
        return _of_experiment(recognizer, path, settings.backbone, weights.experiment)
    raise PipelineError(f"{path}: weights of files are not read yet")


def _of_experiment(recognizer: Recognizer, path: Path, settings: BackboneSettings, experiment: str) -> str:
    trained = read_recognizer(path)
    own, other = (which.model_dump(exclude=NOT_COMPARED) for which in (settings, trained.settings.backbone))
    different = [
        f"{key}: {other.get(key)}, not {own.get(key)}" for key in {**own, **other} if own.get(key) != other.get(key)
    ]
    if different:
        raise PipelineError(
            f"backbone: weights: experiment {experiment} has another backbone ({', '.join(different)}; {path}): name "
            "an experiment with the same one"
        )
    recognizer.backbone.load_state_dict(trained.model.backbone.state_dict())
    return trained.origin
