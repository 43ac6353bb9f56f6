"""The base of all settings models, and the types of numbers and names that they share."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"  # names are parts of paths
Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Precision = Literal["auto", "fp32", "bf16"]


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("each seed may stand here once: equal seeds give equal models")
    return seeds


# An experiment is trained once for each seed. The model of the first seed captions new videos, and its files have the
# shortest paths.
Seeds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_distinct)]


class Settings(BaseModel):
    """Base of all settings models: frozen, strictly typed, and without unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class WeightsUrl(Settings):
    """Weights that are fetched once from a URL, checked by their SHA-256, and kept."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


# A word (`random`, a file, or a tag that the encoder knows) or a URL with its digest. The discriminator tells the two
# apart, so that pydantic reports mistakes against one of them only.
Weights = Annotated[
    Annotated[str, Tag("a word")] | Annotated[WeightsUrl, Tag("an address")],
    Discriminator(lambda value: "an address" if isinstance(value, dict | WeightsUrl) else "a word"),
]
