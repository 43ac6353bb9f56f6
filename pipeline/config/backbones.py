"""Settings of the backbones of recognizers, and of the graph modules that stand in them."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from pipeline.config.types import Count, Settings, Share, WeightsUrl


class OfExperiment(Settings):
    """The backbone that an experiment has trained, such as one on single digits."""

    experiment: str


BackboneWeights = Annotated[
    Annotated[str, Tag("a word")]
    | Annotated[WeightsUrl, Tag("an address")]
    | Annotated[OfExperiment, Tag("an experiment")],
    Discriminator(
        lambda value: (
            "a word"
            if isinstance(value, str)
            else "an experiment"
            if isinstance(value, OfExperiment) or (isinstance(value, dict) and "experiment" in value)
            else "an address"
        )
    ),
]


class SimpleConvSettings(Settings):
    """RSTG's network for SyncMNIST: three convolutions of each frame."""

    kind: Literal["simple_conv"]
    filters: Count
    colours: Literal[1, 3]
    pixels: Literal["raw", "unit"]
    weights: BackboneWeights
    seed: int


class ResNetSettings(Settings):
    """A ResNet over frames (`tsm`, `c2d`) or over space and time (`i3d`, `nonlocal`)."""

    kind: Literal["tsm", "c2d", "i3d", "nonlocal"]
    depth: Literal[18, 34, 50, 101]
    geometry: Literal["torchvision", "rstg", "video_nonlocal_net", "slowfast", "pytorchvideo", "mmaction"]
    clip: Literal["8x8", "32x2", "32x4"] | None
    stages: Literal[3, 4]
    colours: Literal[1, 3]
    shift_share: Share
    pixels: Literal["imagenet", "nonlocal", "half", "unit", "raw"]
    weights: BackboneWeights
    seed: int


class TorchvisionSettings(Settings):
    """A video network of torchvision by its name, as a baseline."""

    kind: Literal["torchvision"]
    arch: Literal["r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t"]
    weights: BackboneWeights
    seed: int


BackboneSettings = Annotated[SimpleConvSettings | ResNetSettings | TorchvisionSettings, Field(discriminator="kind")]


class RstgSettings(Settings):
    """RSTG (Nicolicioiu et al., 2019) at a place of the backbone, or as the head (`final`)."""

    kind: Literal["rstg"]
    at: str
    inside: bool
    node_dim: Count
    rounds: Annotated[int, Field(ge=1)]
    stages: Literal["all", "one", "space", "time", "homogeneous"]
    attention: Literal["dot", "gat"]
    heads: Count
    scalewise: bool
    positions: bool
    layer_norm: bool
    batch_norm: bool
    residual: bool


class DyRegSettings(Settings):
    """DyReg (Duta et al., 2021) at a place of the backbone, or as the head (`final`)."""

    kind: Literal["dyreg"]
    at: str
    inside: bool
    node_dim: Count
    offset_dim: Count
    rounds: Annotated[int, Field(ge=1)]
    stages: Literal["all", "one", "space", "time"]
    anchors: Literal["centre", "grid"]
    generator: Literal["big", "lite"]
    regions: Literal["dynamic", "fixed", "static", "semantic", "position", "boxes"]
    residual: bool


ModuleSettings = Annotated[RstgSettings | DyRegSettings, Field(discriminator="kind")]
