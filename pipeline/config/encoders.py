"""Settings of the encoders, which turn pixels into features of motion, appearance and objects."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from pipeline.config.types import Count, Positive, Precision, Settings, Share, Weights


class I3dSettings(Settings):
    """Inception I3D, which makes motion features of windows of frames."""

    kind: Literal["i3d"]
    weights: Weights
    seed: int
    calibrate_on: str | None
    calibration_clips: Count
    size: Annotated[int, Field(ge=32)]
    precision: Precision

    @model_validator(mode="after")
    def _random_is_calibrated(self) -> Self:
        if self.weights == "random" and self.calibrate_on is None:
            raise ValueError(
                "`weights: random` needs `calibrate_on: <data set>`, whose clips set the BatchNorm statistics"
            )
        return self


class VisionArch(Settings):
    """Sizes of an image tower: a vision transformer, or a CLIP ResNet if `layers` is a list."""

    image_size: Count
    patch_size: Count | None
    width: Count
    heads: Count
    layers: Count | tuple[Count, Count, Count, Count]

    @model_validator(mode="after")
    def _only_transformers_have_patches(self) -> Self:
        if isinstance(self.layers, int) != (self.patch_size is not None):
            raise ValueError("a transformer has a `patch_size`; a ResNet has none (null) and a list of four `layers`")
        return self


class TextArch(Settings):
    """Sizes of a text tower, which is a transformer."""

    context_length: Count
    vocab_size: Count
    width: Count
    heads: Count
    layers: Count


class ClipArch(Settings):
    """Sizes of a CLIP model that is none of open_clip's."""

    embed_dim: Count
    vision: VisionArch
    text: TextArch


class ActiveClipArch(ClipArch):
    """The same with its activation, for a file that does not say with which one it was trained; names say it, too."""

    activation: Literal["quick_gelu", "gelu"]


def _kind_of_arch(value: Any) -> str:
    if isinstance(value, ClipArch):
        value = value.model_dump()
    if not isinstance(value, dict):
        return "a name"
    return "sizes and activation" if "activation" in value else "sizes"


# The discriminator tells the three apart, so that pydantic reports mistakes against one of them only.
AnyClipArch = Annotated[
    Annotated[str, Tag("a name")]
    | Annotated[ClipArch, Tag("sizes")]
    | Annotated[ActiveClipArch, Tag("sizes and activation")],
    Discriminator(_kind_of_arch),
]


class FinetuneSettings(Settings):
    """How CLIP4Clip is fine-tuned for retrieval on the training split of a data set."""

    dataset: str
    sampling: str
    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    lr: Positive
    tower_lr_scale: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Share
    max_words: Count
    frames: Count
    crop_scale: tuple[Positive, Positive]
    seed: int


class Clip4ClipSettings(Settings):
    """CLIP4Clip, whose image tower makes appearance features; it is fine-tuned by the workflow or imported."""

    kind: Literal["clip4clip"]
    weights: Weights
    seed: int
    arch: AnyClipArch
    finetune: FinetuneSettings | None
    precision: Precision


class DetectorFinetuneSettings(Settings):
    """How a detector is fine-tuned on the boxes of a generated data set's training split."""

    dataset: str
    sampling: str
    frames: Count
    epochs: Count
    batch_size: Count
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Share
    seed: int


class DetectorSettings(Settings):
    """A torchvision detection model, which finds objects in frames."""

    kind: Literal["detector"]
    weights: Weights
    seed: int
    arch: str
    size: Annotated[int, Field(ge=32)]
    finetune: DetectorFinetuneSettings | None
    precision: Precision


class VideoMaeArch(Settings):
    """Sizes of a VideoMAE encoder, a vision transformer over tubelets."""

    image_size: Count
    patch_size: Count
    frames: Count
    tubelet: Count
    width: Count
    heads: Count
    layers: Count
    positions: Literal["order", "axes"]

    @model_validator(mode="after")
    def _pieces_fit(self) -> Self:
        for whole, piece in (("image_size", "patch_size"), ("frames", "tubelet"), ("width", "heads")):
            if getattr(self, whole) % getattr(self, piece):
                raise ValueError(f"`{whole}` must be a multiple of `{piece}`")
        return self


class DecoderArch(Settings):
    """Sizes of the decoder that reconstructs masked tubelets; it is not kept."""

    width: Count
    heads: Count
    layers: Count

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError("`width` must be a multiple of `heads`")
        return self


class PretrainSettings(Settings):
    """How a VideoMAE encoder is pre-trained by masking, on the training clips of a data set."""

    dataset: str
    clipping: str
    decoder: DecoderArch
    masked: Annotated[float, Field(gt=0, lt=1)]
    targets: Literal["normalised", "pixels"]
    stride: Count
    epochs: Count
    batch_size: Count
    accumulate: Count
    lr: Positive
    betas: tuple[Share, Share]
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Share
    crop: Literal["multi_scale", "random_resized", "random", "whole"]
    flip: bool
    seed: int


class VideoMaeSettings(Settings):
    """VideoMAE's encoder, the temporal expert of CAST; it is pre-trained by the workflow or imported."""

    kind: Literal["videomae"]
    weights: Weights
    seed: int
    arch: VideoMaeArch
    pretrain: PretrainSettings | None
    precision: Precision


class CastEncoderSettings(Settings):
    """A CAST that an experiment has trained, whose vectors are motion features of windows of frames."""

    kind: Literal["cast"]
    experiment: str


class TowerArch(Settings):
    """Sizes of an image tower of CLIP, a vision transformer, and its activation, which files of it do not say."""

    image_size: Count
    patch_size: Count
    width: Count
    heads: Count
    layers: Count
    activation: Literal["quick_gelu", "gelu"]


class ClipTowerSettings(Settings):
    """CLIP's image tower by itself, the spatial expert of CAST: of any file of CLIP, or out of a published CAST."""

    kind: Literal["clip_tower"]
    weights: Weights
    arch: TowerArch

    @model_validator(mode="after")
    def _is_published(self) -> Self:
        if self.weights == "random":
            raise ValueError(
                "`weights`: a tower of random weights is one of `kind: clip4clip`: name a file or an address"
            )
        return self


class RecognizerEncoderSettings(Settings):
    """A convolutional recognizer that an experiment has trained, whose last maps are features of windows of frames."""

    kind: Literal["recognizer"]
    experiment: str


WeightsEncoderSettings = Annotated[
    I3dSettings | Clip4ClipSettings | ClipTowerSettings | DetectorSettings | VideoMaeSettings,
    Field(discriminator="kind"),
]  # those that have weights of their own
EncoderSettings = Annotated[
    I3dSettings
    | Clip4ClipSettings
    | ClipTowerSettings
    | DetectorSettings
    | VideoMaeSettings
    | CastEncoderSettings
    | RecognizerEncoderSettings,
    Field(discriminator="kind"),
]
