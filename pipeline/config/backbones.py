"""Settings of the backbones of recognizers, and of the graph modules that stand in them."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

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


# Where the layer of the classes comes from: drawn anew, or the file of the weights, if it has the same classes.
WeightsHead = Literal["drawn", "weights"]


class SimpleConvSettings(Settings):
    """RSTG's network for SyncMNIST: three convolutions of each frame."""

    kind: Literal["simple_conv"]
    filters: Count
    colours: Literal[1, 3]
    pixels: Literal["raw", "unit"]
    norm_maps: bool
    weights: BackboneWeights
    seed: int


class ResNetSettings(Settings):
    """A ResNet over frames (`tsm`), or over space and time (`c2d`, `i3d`, `nonlocal`).

    `geometry` and `clip` are those of a published network over space and time; a `tsm` has torchvision's and null.
    `channels` is the order of the colours that the weights were trained on; recognizers take RGB whichever it is.
    """

    kind: Literal["tsm", "c2d", "i3d", "nonlocal"]
    depth: Literal[18, 34, 50, 101]
    geometry: Literal[
        "torchvision", "rstg", "video_nonlocal_net", "video_nonlocal_net_affine", "slowfast", "pytorchvideo"
    ]
    clip: Literal["8x8", "32x2", "32x4"] | None
    stages: Literal[3, 4]
    colours: Literal[1, 3]
    shift_share: Share
    pixels: Literal["imagenet", "nonlocal", "half", "unit", "raw"]
    weights: BackboneWeights
    head: WeightsHead
    channels: Literal["rgb", "bgr"]
    seed: int

    @model_validator(mode="after")
    def _is_built(self) -> Self:
        if self.kind == "tsm" and (self.geometry != "torchvision" or self.clip is not None):
            raise ValueError("kind tsm has geometry: torchvision and clip: null, not those of a network over time")
        if self.kind != "tsm" and (self.depth not in (50, 101) or self.geometry == "torchvision"):
            raise ValueError(f"kind {self.kind} has depth: 50 or 101, and the geometry of a published video network")
        if self.kind != "tsm" and (self.shift_share or self.stages != 4 or self.colours != 3 or self.clip is None):
            raise ValueError(f"kind {self.kind} has shift_share: 0.0, stages: 4, colours: 3 and a clip such as 8x8")
        if self.clip == "32x2" and self.geometry not in ("video_nonlocal_net", "video_nonlocal_net_affine"):
            raise ValueError(f"geometry {self.geometry} has no clip 32x2, which is video_nonlocal_net's: write 8x8")
        if self.channels == "bgr" and self.pixels == "imagenet":
            raise ValueError(
                "channels: bgr is for weights whose colours are normalised alike, such as pixels: nonlocal"
            )
        if self.shift_share > 0.5:
            raise ValueError("shift_share is shifted forward and as much backward: at most 0.5; the paper's is 0.125")
        return self


class TorchvisionSettings(Settings):
    """A video network of torchvision by its name, as a baseline."""

    kind: Literal["torchvision"]
    arch: Literal["r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t"]
    weights: BackboneWeights
    head: WeightsHead
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
