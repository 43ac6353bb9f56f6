"""Settings of maps: what an encoder makes of windows of frames before it pools, of one size for every clip."""

from typing import Annotated

from pydantic import Field

from pipeline.config.types import Count, Settings


class MapsSettings(Settings):
    """Maps of an encoder around the sampled frames, resized in time and space, and stored in half precision.

    Attributes:
        sampling: The sampled frames, whose windows are encoded.
        encoder: The encoder, of kind i3d, cast or recognizer.
        align_size: Steps, rows and columns of the maps of every clip.
        bits: How many of the ten bits of a number's fraction are kept.
    """

    sampling: str
    encoder: str
    align_size: tuple[Count, Count, Count]
    bits: Annotated[int, Field(ge=1, le=10)]
