"""Settings of experiments: what is trained on which data set, and how often.

Every kind of experiment has `kind`, `dataset` and `seeds`.
"""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.types import Seeds, Settings

CAPTIONING = ("captioning", "map_captioning")  # kinds of experiments that learn captions


class CaptioningSettings(Settings):
    """A captioner trained on the graphs of a data set, once for each seed."""

    kind: Literal["captioning"]
    dataset: str
    graph: str
    objects: str | None
    knowledge: str | None
    captioner: str
    vocabulary: str
    seeds: Seeds


class MapCaptioningSettings(Settings):
    """A captioner trained on the maps of a data set, once for each seed."""

    kind: Literal["map_captioning"]
    dataset: str
    maps: str
    captioner: str
    vocabulary: str
    seeds: Seeds


class PartSettings(Settings):
    """What a part of TSTL learns: the groups of the classes (a selector), or the clips of one group (an expert)."""

    groups: str
    group: Annotated[int, Field(ge=0)] | None


class RecognitionSettings(Settings):
    """A recognizer trained on the labelled clips of a data set, once for each seed."""

    kind: Literal["recognition"]
    dataset: str
    clipping: str
    recognizer: str
    part: PartSettings | None
    seeds: Seeds


class RoutingSettings(Settings):
    """TSTL: a selector that chooses the expert of a group; both are experiments of their own, with the same seeds."""

    kind: Literal["routing"]
    dataset: str
    clipping: str
    selector: str
    experts: Annotated[list[str], Field(min_length=1)]
    seeds: Seeds


ExperimentSettings = Annotated[
    CaptioningSettings | RecognitionSettings | RoutingSettings | MapCaptioningSettings, Field(discriminator="kind")
]
