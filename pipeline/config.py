"""The shape of config.yaml: one frozen model a kind of thing, no defaults, unknown keys refused.

A stage gets the model it needs as JSON on its command line; it never reads config.yaml itself.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from pipeline.config_mistakes import broken_references, describe, suggest
from pipeline.datasets.shapes_captions import ACTION_PHRASES, COLOUR_WORDS, SHAPE_WORDS
from pipeline.errors import PipelineError

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"  # names stand in paths
Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Precision = Literal["auto", "fp32", "bf16"]


class Settings(BaseModel):
    """A section of the configuration."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Clips(Settings):
    """Clips a split."""

    train: Count
    val: Count
    test: Count


def _one_of(names: Iterable[str]) -> AfterValidator:
    known = sorted(names)

    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"the generator has none of this name{suggest(name, known)}")
        return name

    return AfterValidator(check)


class ShapesSettings(Settings):
    """Generated videos of moving shapes, with captions and the truth about every frame."""

    kind: Literal["shapes"]
    shards: Count
    seed: int
    clips: Clips
    colours: Annotated[list[Annotated[str, _one_of(COLOUR_WORDS)]], Field(min_length=1)]
    shapes: Annotated[list[Annotated[str, _one_of(SHAPE_WORDS)]], Field(min_length=1)]
    actions: Annotated[list[Annotated[str, _one_of(ACTION_PHRASES)]], Field(min_length=1)]
    two_objects: Share
    held_out_pairs: Annotated[int, Field(ge=0)]
    captions: Count
    short_sides: Annotated[list[Annotated[int, Field(ge=16)]], Field(min_length=1)]
    aspects: Annotated[list[Annotated[str, Field(pattern=r"^[1-9]\d*:[1-9]\d*$")]], Field(min_length=1)]
    fps: Annotated[list[Positive], Field(min_length=1)]
    seconds: tuple[Positive, Positive]
    noise: Annotated[float, Field(ge=0)]
    webm: Share
    avi: Share

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> Self:
        if self.seconds[0] > self.seconds[1]:
            raise ValueError("`seconds` is shortest, then longest: write the smaller number first")
        if self.webm + self.avi > 1:
            raise ValueError("`webm` and `avi` are shares of all the clips: together at most 1")
        return self


class Splits(Settings):
    """Shares of the captioned videos whose annotations name no split; an id's hash decides."""

    train: Share
    val: Share
    test: Share

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError("the shares of train, val and test must sum to 1")
        return self


class FolderSettings(Settings):
    """A folder (or a list file) of one's own videos, with or without captions."""

    kind: Literal["folder"]
    shards: Count
    videos: Path
    captions: Path | None
    splits: Splits


DatasetSettings = Annotated[ShapesSettings | FolderSettings, Field(discriminator="kind")]


class SamplingSettings(Settings):
    """Which frames are looked at, and at what size."""

    fps: Positive
    max_frames: Count
    short_side: Count
    window: Annotated[int, Field(ge=9)]
    on_bad_video: Literal["record", "fail"]


class I3dSettings(Settings):
    """Motion: Inception I3D over windows of frames."""

    kind: Literal["i3d"]
    weights: str
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
    """Sizes of a text transformer."""

    context_length: Count
    vocab_size: Count
    width: Count
    heads: Count
    layers: Count


class ClipArch(Settings):
    """Sizes of a CLIP model of one's own."""

    embed_dim: Count
    vision: VisionArch
    text: TextArch


class FinetuneSettings(Settings):
    """CLIP4Clip retrieval on the training split of a data set."""

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
    """Appearance: a CLIP4Clip image tower, fine-tuned here or brought along."""

    kind: Literal["clip4clip"]
    weights: str
    seed: int
    arch: str | ClipArch
    finetune: FinetuneSettings | None
    precision: Precision


EncoderSettings = Annotated[I3dSettings | Clip4ClipSettings, Field(discriminator="kind")]


class GridNodesSettings(Settings):
    """Nodes: overlapping cells of a grid over the central square of a frame."""

    kind: Literal["grid"]
    sampling: str
    encoder: str
    cells: Count
    overlap: Annotated[float, Field(ge=0, lt=1)]


class GraphSettings(Settings):
    """An action graph: nodes, and the motion on their edges."""

    nodes: str
    motion: str


class VocabularySettings(Settings):
    """Words of the training captions."""

    dataset: str
    min_count: Count
    max_words: Count


class CaptionerModelSettings(Settings):
    """Sizes of the bidirectional captioner."""

    node_position: Literal["none", "learned"]
    graph_width: Count
    graph_heads: Count
    visual_width: Count
    visual_layers: Count
    visual_feedforward: Count
    visual_heads_right_to_left: Count
    visual_heads_left_to_right: Count
    width: Count
    decoder_layers: Count
    decoder_heads: Count
    decoder_feedforward: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _heads_divide_widths(self) -> Self:
        for width, heads in (
            ("graph_width", "graph_heads"),
            ("visual_width", "visual_heads_right_to_left"),
            ("visual_width", "visual_heads_left_to_right"),
            ("width", "decoder_heads"),
        ):
            if getattr(self, width) % getattr(self, heads):
                raise ValueError(
                    f"`{width}` ({getattr(self, width)}) must be a multiple of `{heads}` ({getattr(self, heads)})"
                )
        return self


class TrainingSettings(Settings):
    """How a captioner is trained."""

    epochs: Count
    batch_size: Count
    captions_per_video: Count
    accumulate: Count
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    warmup: Share
    clip_norm: Positive
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    left_to_right_weight: Share
    reverse_pairing: Literal["epoch", "once"]
    validate_every: Count
    patience: Count
    precision: Precision


class DecodingSettings(Settings):
    """How captions are searched for."""

    beam: Count
    max_words: Count
    batch_size: Count


class CaptionerSettings(Settings):
    """A captioner: its sizes, its training and its decoding."""

    kind: Literal["bidirectional"]
    model: CaptionerModelSettings
    training: TrainingSettings
    decoding: DecodingSettings


class ExperimentSettings(Settings):
    """A captioner trained on the graphs of a data set."""

    dataset: str
    graph: str
    captioner: str
    vocabulary: str
    seed: int


class ReportSettings(Settings):
    """The report page."""

    videos: Annotated[int, Field(ge=0)]


class Config(Settings):
    """The whole of config.yaml: every section maps names to settings."""

    datasets: dict[Name, DatasetSettings]
    samplings: dict[Name, SamplingSettings]
    encoders: dict[Name, EncoderSettings]
    nodes: dict[Name, GridNodesSettings]
    graphs: dict[Name, GraphSettings]
    vocabularies: dict[Name, VocabularySettings]
    captioners: dict[Name, CaptionerSettings]
    experiments: dict[Name, ExperimentSettings]
    report: ReportSettings


def validate(raw: Mapping[str, Any]) -> Config:
    """Check a configuration as Snakemake or YAML gives it.

    Raises:
        PipelineError: with every mistake, its place and what to write instead.
    """
    mistakes: list[str] = []
    config: Config | None = None
    try:
        # The JSON form: strict mode in Python would refuse a str for a Path and a list for a tuple.
        config = Config.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        mistakes += [describe(raw, dict(found), _field_names()) for found in error.errors(include_url=False)]
    mistakes += broken_references(raw)
    if mistakes or config is None:
        raise PipelineError("config: " + "; ".join(dict.fromkeys(mistakes)))
    return config


def parse_settings(model: Any, text: str) -> Any:
    """Settings from the JSON text a rule passes.

    Args:
        model: A settings model, or a union of some.
        text: JSON.

    Raises:
        PipelineError: if they do not fit the model.
    """
    try:
        return TypeAdapter(model).validate_json(text)
    except ValidationError as error:
        found = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors(include_url=False)]
        raise PipelineError(f"settings: {'; '.join(found)}") from error


def _field_names() -> list[str]:
    models = [Settings]
    for model in models:
        models += model.__subclasses__()
    return sorted({name for model in models for name in model.model_fields})
