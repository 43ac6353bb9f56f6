"""Settings of experiments: what is trained on which data set, and how often.

Every kind of experiment has `kind`, `dataset` and `seeds`.
"""

from typing import Literal

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


# A further kind makes this a union: Annotated[CaptioningSettings | RecognitionSettings, Field(discriminator="kind")].
ExperimentSettings = CaptioningSettings
