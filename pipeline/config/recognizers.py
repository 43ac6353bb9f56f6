"""Settings of recognizers: which frames they see, how they learn, and which views of a clip are scored."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.backbones import BackboneSettings, ModuleSettings, WeightsHead
from pipeline.config.types import Count, Positive, Precision, Settings, Share


class ClipSamplingSettings(Settings):
    """Which frames of a clip a recognizer sees at once."""

    sampling: Literal["segments", "dense", "uniform"]
    number: Count
    stride: Count | None

    @model_validator(mode="after")
    def _dense_has_a_stride(self) -> Self:
        if (self.sampling == "dense") != (self.stride is not None):
            raise ValueError(
                "`stride` is the number of frames from one to the next of `sampling: dense`; null for others"
            )
        return self


class RandAugmentSettings(Settings):
    """RandAugment: so many operations, each of about a magnitude, alike in all frames of a clip.

    Frames that are turned, sheared or moved are interpolated as it says; `random` draws it for each operation.
    """

    operations: Count
    magnitude: Annotated[int, Field(ge=0, le=10)]
    deviation: Annotated[float, Field(ge=0)]
    interpolation: Literal["bilinear", "bicubic", "random"]


class MixupSettings(Settings):
    """Mixup: each clip of a step is mixed with another one, and so are their labels, in a share of the steps."""

    alpha: Positive
    share: Share


class ClipAugmentationSettings(Settings):
    """How the pixels of a training clip are altered, the same way in all its frames."""

    size: Count
    crop: Literal["multi_scale", "random_resized", "random", "whole"]
    flip: Literal["none", "swap_labels", "keep_labels"]
    brightness: Share
    rand_augment: RandAugmentSettings | None
    mixup: MixupSettings | None


class ViewSettings(Settings):
    """The views of a clip that are scored: so many samples in time, each cropped at so many places."""

    temporal: Count
    spatial: Literal[1, 3, 11]
    short_side: Count | None
    size: Count
    batch_size: Count

    @model_validator(mode="after")
    def _squares_fit(self) -> Self:
        if self.short_side is None and self.spatial != 1:
            raise ValueError("`short_side: null` squeezes the whole frame into one square: write `spatial: 1`")
        if self.short_side is not None and self.size > self.short_side:
            raise ValueError("squares of `size` must fit into frames of `short_side`")
        return self


class KickStartSettings(Settings):
    """Regions of trained models of one module each, which teach those of a model with several at its beginning."""

    teachers: dict[str, str]
    share: Share
    weight: Positive


class BalancedSettings(Settings):
    """Steps of so many classes with so many clips each (TSTL); every clip is seen once in an epoch all the same."""

    classes: Count
    clips: Count


class TripletLossSettings(Settings):
    """A triplet loss on the vector before the head, beside that of the labels."""

    weight: Positive
    margin: Positive


class RecognizerTrainingSettings(Settings):
    """How a recognizer is trained; without epochs it has the weights that it begins with."""

    epochs: Annotated[int, Field(ge=0)]
    batch_size: Count
    accumulate: Count
    optimizer: Literal["sgd", "nesterov", "adamw"]
    lr: Positive
    momentum: Share
    weight_decay: Annotated[float, Field(ge=0)]
    multipliers: Literal["none", "tsm", "layers"]
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None
    schedule: Literal["constant", "cosine", "steps", "plateau"]
    steps: list[Count]
    warmup: Share
    least_lr: Annotated[float, Field(ge=0)]
    clip_norm: Positive | None
    loss: Literal["mean", "sum"]
    label_smoothing: Share
    train_backbone: bool
    batch_norm: Literal["train", "partial", "frozen"]
    per_class: Count | None
    epoch_clips: Count | None
    balanced: BalancedSettings | None
    triplet: TripletLossSettings | None
    validate_every: Count
    patience: Count | None
    kick_start: KickStartSettings | None
    precision: Precision

    @model_validator(mode="after")
    def _steps_fit_the_schedule(self) -> Self:
        fits = {"steps": len(self.steps) > 0, "plateau": len(self.steps) == 1}.get(self.schedule, not self.steps)
        if not fits:
            raise ValueError(
                "`steps` are the epochs at which `schedule: steps` divides the learning rate by 10; of `plateau`, one "
                "number: the validations without a better loss before it does; [] for others"
            )
        return self

    @model_validator(mode="after")
    def _steps_are_balanced_alone(self) -> Self:
        balanced = self.balanced
        if balanced is not None and balanced.classes * balanced.clips != self.batch_size:
            raise ValueError("`balanced`: `classes` times `clips` are the clips of a step: write it as `batch_size`")
        if balanced is not None and self.epoch_clips is not None:
            raise ValueError("`balanced`: an epoch has all clips: write `epoch_clips: null`")
        if self.triplet is not None and self.accumulate > 1:
            raise ValueError("`triplet` compares all clips of a step at once: write `accumulate: 1`")
        return self

    @model_validator(mode="after")
    def _rates_fit(self) -> Self:
        if (self.multipliers == "layers") != (self.layer_decay is not None):
            raise ValueError(
                "`layer_decay` is the factor of the learning rate from one block to the one before it, with "
                "`multipliers: layers`; null for others"
            )
        if self.least_lr and (self.schedule != "cosine" or self.least_lr >= self.lr):
            raise ValueError(
                "`least_lr` is what `schedule: cosine` falls to, and lies below `lr`; 0 for other schedules"
            )
        return self


class ConvolutionalSettings(Settings):
    """A convolutional backbone with graph modules in it."""

    kind: Literal["convolutional"]
    backbone: BackboneSettings
    modules: list[ModuleSettings]
    dropout: Share
    frames: ClipSamplingSettings
    augmentation: ClipAugmentationSettings
    training: RecognizerTrainingSettings
    views: ViewSettings

    @model_validator(mode="after")
    def _validation_fits(self) -> Self:
        require_fitting_squares(self.augmentation, self.views)
        return self

    @model_validator(mode="after")
    def _has_no_numbered_layers(self) -> Self:
        if self.training.multipliers == "layers":
            raise ValueError("`training.multipliers: layers` counts the blocks of `kind: cast`: write `tsm` or `none`")
        return self

    @model_validator(mode="after")
    def _has_no_triplets(self) -> Self:
        if self.training.triplet is not None:
            raise ValueError("`training.triplet` compares the vectors of `kind: cast`: write null")
        return self


def require_fitting_squares(augmentation: ClipAugmentationSettings, views: ViewSettings) -> None:
    """Raise a ValueError if the square of validation does not fit into the frames that it is cut from."""
    if views.short_side is not None and augmentation.size > views.short_side:
        raise ValueError("`augmentation.size` must fit into `views.short_side`: validation cuts such a square")


Window = Literal["time", "space", "space_time"]


class WindowSettings(Settings):
    """Which tokens of the other stream a token listens to: of its place, of its time, or all."""

    t2s: Window
    s2t: Window


class CastSettings(Settings):
    """CAST: a spatial and a temporal transformer, both frozen, that exchange by bottleneck cross-attention."""

    kind: Literal["cast"]
    spatial: str
    temporal: str
    weights: str
    head: WeightsHead
    adapters: bool
    exchange: Literal["both", "t2s", "s2t", "none"]
    windows: WindowSettings
    positions: bool
    ratio: Annotated[float, Field(gt=0, le=1)]
    first_block: Count
    fusion: Literal["added", "concatenated", "ensemble", "spatial", "temporal", "by_head"]
    drop_path: Annotated[float, Field(ge=0, lt=1)]
    stored_views: Count | None
    frames: ClipSamplingSettings
    augmentation: ClipAugmentationSettings
    training: RecognizerTrainingSettings
    views: ViewSettings

    @model_validator(mode="after")
    def _validation_fits(self) -> Self:
        require_fitting_squares(self.augmentation, self.views)
        return self

    @model_validator(mode="after")
    def _heads_are_of_a_file(self) -> Self:
        if self.head == "weights" and self.weights == "random":
            raise ValueError("`head: weights` takes the heads of the file that `weights` names: write `head: drawn`")
        return self

    @model_validator(mode="after")
    def _experts_stay_as_they_are(self) -> Self:
        if self.training.kick_start is not None:
            raise ValueError("`training.kick_start` teaches the regions of graph modules, which CAST lacks: write null")
        if self.training.train_backbone:
            raise ValueError("`training.train_backbone`: the experts of CAST are always frozen: write false")
        return self

    @model_validator(mode="after")
    def _triplets_are_of_one_class_each(self) -> Self:
        if self.training.triplet is not None and self.augmentation.mixup is not None:
            raise ValueError("`training.triplet` compares classes, and `augmentation.mixup` mixes them: write one")
        if self.training.triplet is not None and self.stored_views is not None:
            raise ValueError("`training.triplet` is of pixels, and `stored_views` keeps tokens: write one of them")
        return self

    @model_validator(mode="after")
    def _stored_views_are_single_clips(self) -> Self:
        if self.stored_views is not None and self.augmentation.mixup is not None:
            raise ValueError(
                "`stored_views` keeps what the experts see of each clip alone, and `augmentation.mixup` mixes pixels: "
                "write null for one of them"
            )
        return self


class FrontSettings(Settings):
    """What of a cast recognizer decides which tokens are stored of clips: see `recognition.front_settings`."""

    streams: list[Literal["spatial", "temporal"]]
    first_block: Count
    stored_views: Count
    frames: ClipSamplingSettings
    augmentation: ClipAugmentationSettings
    short_side: Count | None
    precision: Precision


class ProbeTrainingSettings(Settings):
    """How a head on stored features is trained."""

    epochs: Count
    batch_size: Count
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    per_class: Count | None
    patience: Count | None


class ProbeSettings(Settings):
    """A head alone, on features that a trained recognizer of another experiment has stored."""

    kind: Literal["probe"]
    features: str
    head: Literal["linear", "attentive"]
    heads: Count
    dropout: Share
    training: ProbeTrainingSettings


RecognizerSettings = Annotated[ConvolutionalSettings | CastSettings | ProbeSettings, Field(discriminator="kind")]
