"""All settings that a `recognition` experiment stands on: how clips are kept, and the recognizer.

With these and the model, which knows its classes, videos can be recognized without config.yaml.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pipeline.config import ClippingSettings, ConvolutionalSettings, RecognitionSettings, RecognizerSettings, Settings
from pipeline.config.types import Name


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
    """

    kind: Literal["recognition"]
    name: Name
    experiment: RecognitionSettings
    clipping: ClippingSettings
    recognizer: RecognizerSettings
    body: ConvolutionalSettings | None


def recognition_chain(config: Mapping[str, Any], name: str, _: Mapping[str, str]) -> dict[str, Any]:
    """The chain of one experiment, in the JSON form of `RecognitionChain`.

    Args:
        config: The whole configuration, checked, in its JSON form.
        name: The experiment.
    """
    experiment = config["experiments"][name]
    recognizer = config["recognizers"][experiment["recognizer"]]
    body = None
    if recognizer["kind"] == "probe":
        body = config["recognizers"][config["experiments"][recognizer["features"]]["recognizer"]]
    return {
        "kind": experiment["kind"],
        "name": name,
        "experiment": experiment,
        "clipping": config["clippings"][experiment["clipping"]],
        "recognizer": recognizer,
        "body": body,
    }
