"""All settings that a `recognition` experiment stands on: how clips are kept, and the recognizer.

With these and the model, which knows its classes, and for CAST the weights of its experts, videos can be recognized
without config.yaml.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.config import (
    CastSettings,
    ClippingSettings,
    ConvolutionalSettings,
    EncoderSettings,
    RecognitionSettings,
    RecognizerSettings,
    Settings,
)
from pipeline.config.types import Name
from pipeline.workflow.below_results import Below, below_results


class RecognitionChain(Settings):
    """The entries of the configuration that an experiment names, directly or not.

    Attributes:
        kind: Kind of the experiment.
        name: Name of the experiment.
        experiment: The experiment's entry.
        clipping: How the frames of clips are kept.
        recognizer: The network, or a head on the features of another experiment, its training and its views.
        body: Of a head on stored features, the recognizer of the experiment `recognizer.features` that stored them;
            None for others.
        encoders: The experts of CAST by name; none of others.
        weights: Path of each encoder's weights below the results, by the encoder's name.
    """

    kind: Literal["recognition"]
    name: Name
    experiment: RecognitionSettings
    clipping: ClippingSettings
    recognizer: RecognizerSettings
    body: Annotated[ConvolutionalSettings | CastSettings, Field(discriminator="kind")] | None
    encoders: dict[Name, EncoderSettings]
    weights: dict[Name, Below]

    @model_validator(mode="after")
    def _names_what_it_holds(self) -> Self:
        named = [self.recognizer.spatial, self.recognizer.temporal] if isinstance(self.recognizer, CastSettings) else []
        for encoder in named:
            if encoder not in self.encoders or encoder not in self.weights:
                raise ValueError(f"`recognizer: {encoder}`: there is no such entry")
        return self

    def experts(self) -> list[str]:
        """Paths below the results of the weights of the spatial and of the temporal expert; none without CAST."""
        if not isinstance(self.recognizer, CastSettings):
            return []
        return [self.weights[self.recognizer.spatial], self.weights[self.recognizer.temporal]]


def recognition_chain(config: Mapping[str, Any], name: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """The chain of one experiment, in the JSON form of `RecognitionChain`.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The experiment.
        paths: Path patterns, of which that of `weights` has `{encoder}` in it.
    """
    experiment = config["experiments"][name]
    recognizer = config["recognizers"][experiment["recognizer"]]
    body = None
    if recognizer["kind"] == "probe":
        body = config["recognizers"][config["experiments"][recognizer["features"]]["recognizer"]]
    encoders = [recognizer[role] for role in ("spatial", "temporal")] if recognizer["kind"] == "cast" else []
    return {
        "kind": experiment["kind"],
        "name": name,
        "experiment": experiment,
        "clipping": config["clippings"][experiment["clipping"]],
        "recognizer": recognizer,
        "body": body,
        "encoders": {encoder: config["encoders"][encoder] for encoder in encoders},
        "weights": {encoder: below_results(paths["weights"].format(encoder=encoder)) for encoder in encoders},
    }
