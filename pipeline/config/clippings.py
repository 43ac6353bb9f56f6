"""Settings of clippings: how every frame of a clip is kept for random access."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.types import Count, Positive, Settings


class ClippingSettings(Settings):
    """Which frames of a clip are kept, at what size, and how."""

    fps: Positive | None
    max_frames: Count
    short_side: Count | None
    codec: Literal["jpeg", "raw"]
    quality: Annotated[int, Field(ge=1, le=100)]
    time_limit: Positive
    on_bad_video: Literal["record", "fail"]
