"""What all settings have in common: frozen, strict, no unknown keys; and the kinds of numbers and names."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"  # names stand in paths
Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Precision = Literal["auto", "fp32", "bf16"]


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("each seed may stand here once: equal seeds give equal models")
    return seeds


# One training a seed. The first is the experiment's own: it captions videos, and its files have the shortest paths.
Seeds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_distinct)]


class Settings(BaseModel):
    """A section of the configuration."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class WeightsUrl(Settings):
    """Weights to fetch once and keep."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


# `random`, a file, a tag the encoder knows, or a URL with its digest; told apart, so that mistakes are said of one.
Weights = Annotated[
    Annotated[str, Tag("a word")] | Annotated[WeightsUrl, Tag("an address")],
    Discriminator(lambda value: "an address" if isinstance(value, dict | WeightsUrl) else "a word"),
]
