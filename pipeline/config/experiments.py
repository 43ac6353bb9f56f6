"""Settings of experiments: what is trained on which data set, and how often.

Every kind of experiment has `kind`, `dataset` and `seeds`.
"""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.types import Seeds, Settings


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


class RecognitionSettings(Settings):
    """A recognizer trained on the labelled clips of a data set, once for each seed."""

    kind: Literal["recognition"]
    dataset: str
    clipping: str
    recognizer: str
    seeds: Seeds


ExperimentSettings = Annotated[CaptioningSettings | RecognitionSettings, Field(discriminator="kind")]
