"""All settings that a `map_captioning` experiment stands on, from the sampling of frames to the search for captions."""

from collections.abc import Mapping
from typing import Any, Literal

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


class MapCaptioningChain(Settings):
    """The entries of the configuration that an experiment names, directly or not, and the file of its encoder.

    Attributes:
        kind: Kind of the experiment.
        name: Name of the experiment.
        experiment: The experiment's entry.
        maps: How maps are made.
        sampling: The sampling of the frames around which they are.
        encoders: The encoder that makes them, by its name.
        captioner: Widths, training and decoding of the captioner.
        vocabulary: How the words were chosen; the words themselves are in the model file.
        weights: Path of the encoder's weights below the results, by its name; those of a recognizer are the model of
            its experiment.
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


def map_captioning_chain(config: Mapping[str, Any], name: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """The chain of one experiment, in the JSON form of `MapCaptioningChain`.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The experiment.
        paths: Path patterns of `weights`, with `{encoder}` in it, and of `model`, with `{trial}`.
    """
    experiment = config["experiments"][name]
    maps = config["maps"][experiment["maps"]]
    encoder = config["encoders"][maps["encoder"]]
    trained = encoder.get("experiment")
    file = paths["weights"].format(encoder=maps["encoder"]) if trained is None else paths["model"].format(trial=trained)
    return {
        "kind": experiment["kind"],
        "name": name,
        "experiment": experiment,
        "maps": maps,
        "sampling": config["samplings"][maps["sampling"]],
        "encoders": {maps["encoder"]: encoder},
        "captioner": config["captioners"][experiment["captioner"]],
        "vocabulary": config["vocabularies"][experiment["vocabulary"]],
        "weights": {maps["encoder"]: below_results(file)},
    }
