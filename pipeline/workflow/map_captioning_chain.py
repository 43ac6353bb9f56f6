"""All settings that a `map_captioning` experiment stands on, from the sampling of frames to the search for captions.

With these, the weights and the model, videos can be captioned without config.yaml.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from pipeline.config import (
    EncoderSettings,
    LstmSettings,
    MapCaptioningSettings,
    MapsSettings,
    SamplingSettings,
    Settings,
    VocabularySettings,
)
from pipeline.config.types import Name
from pipeline.workflow.below_results import Below, below_results
from pipeline.workflow.captioning_chain import experts_of, weights_of


class MapCaptioningChain(Settings):
    """The entries of the configuration that an experiment names, directly or not, and the files of its encoders.

    Attributes:
        kind: Kind of the experiment.
        name: Name of the experiment.
        experiment: The experiment's entry.
        maps: How maps are made.
        sampling: The sampling of the frames around which they are.
        encoders: The encoder that makes them, by its name; where it is a trained CAST, its two experts, too.
        captioner: Widths, training and decoding of the captioner.
        vocabulary: How the words were chosen; the words themselves are in the model file.
        weights: Path of each encoder's weights below the results, by the encoder's name; those of a recognizer are the
            model of its experiment.
    """

    kind: Literal["map_captioning"]
    name: Name
    experiment: MapCaptioningSettings
    maps: MapsSettings
    sampling: SamplingSettings
    encoders: dict[Name, EncoderSettings]
    captioner: LstmSettings
    vocabulary: VocabularySettings
    weights: dict[Name, Below]

    def files(self) -> list[str]:
        """Paths below the results of all files besides the model that captioning needs."""
        return list(self.weights.values())

    @model_validator(mode="after")
    def _names_what_it_holds(self) -> Self:
        for encoder in (self.maps.encoder, *self.encoders):
            if encoder not in self.encoders or encoder not in self.weights:
                raise ValueError(f"`encoders: {encoder}`: there is no such entry")
        return self


def map_captioning_chain(config: Mapping[str, Any], name: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """The chain of one experiment, in the JSON form of `MapCaptioningChain`.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The experiment.
        paths: Path patterns of `weights`, with `{encoder}` in it, and of `model`, with `{trial}`.
    """
    experiment = config["experiments"][name]
    maps = config["maps"][experiment["maps"]]
    encoders = sorted({maps["encoder"], *experts_of(config, maps["encoder"])})
    return {
        "kind": experiment["kind"],
        "name": name,
        "experiment": experiment,
        "maps": maps,
        "sampling": config["samplings"][maps["sampling"]],
        "encoders": {encoder: config["encoders"][encoder] for encoder in encoders},
        "captioner": config["captioners"][experiment["captioner"]],
        "vocabulary": config["vocabularies"][experiment["vocabulary"]],
        "weights": {encoder: below_results(weights_of(config, encoder, paths)) for encoder in encoders},
    }
