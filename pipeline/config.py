"""The shape of config.yaml: one frozen model a kind of thing, no defaults, unknown keys refused.

A stage gets the model it needs as JSON on its command line; it never reads config.yaml itself.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from pipeline.config_likes import resolve_likes, without_inherited
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


class WeightsUrl(Settings):
    """Weights to fetch once and keep."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


# `random`, a file, a tag the encoder knows, or a URL with its digest; told apart, so that mistakes are said of one.
Weights = Annotated[
    Annotated[str, Tag("a word")] | Annotated[WeightsUrl, Tag("an address")],
    Discriminator(lambda value: "an address" if isinstance(value, dict | WeightsUrl) else "a word"),
]


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


class SplitLists(Settings):
    """A file a split."""

    train: Path
    val: Path
    test: Path | None


class FolderSettings(Settings):
    """A folder (or a list file) of one's own videos, with or without captions."""

    kind: Literal["folder"]
    shards: Count
    videos: Path
    captions: Path | None
    splits: Splits


class MsvdSettings(Settings):
    """MSVD: 1,970 clips named VideoID_Start_End, with the captions of the MSR Video Description Corpus."""

    kind: Literal["msvd"]
    shards: Count
    videos: Path
    mapping: Path | None
    captions: Path | Annotated[list[Path], Field(min_length=1)]
    splits: SplitLists | Literal["position"]


class MsrvttSettings(Settings):
    """MSR-VTT: 10,000 clips, 20 captions each."""

    kind: Literal["msrvtt"]
    shards: Count
    videos: Path
    captions: Path | Annotated[list[Path], Field(min_length=1)]
    splits: Literal["position", "file"]


class VatexSettings(Settings):
    """VATEX: a JSON file a split, ten English captions a clip."""

    kind: Literal["vatex"]
    shards: Count
    videos: Path
    captions: SplitLists


class CocoCaptionsSettings(Settings):
    """Captions in the JSON form of COCO, a file a split."""

    kind: Literal["coco_captions"]
    shards: Count
    videos: Path
    captions: SplitLists


DatasetSettings = Annotated[
    ShapesSettings | FolderSettings | MsvdSettings | MsrvttSettings | VatexSettings | CocoCaptionsSettings,
    Field(discriminator="kind"),
]


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
    weights: Weights
    seed: int
    arch: str | ClipArch
    finetune: FinetuneSettings | None
    precision: Precision


class DetectorFinetuneSettings(Settings):
    """Detection learnt on the boxes of a generated data set's training split."""

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
    """A torchvision detection model."""

    kind: Literal["detector"]
    weights: Weights
    seed: int
    arch: str
    size: Annotated[int, Field(ge=32)]
    finetune: DetectorFinetuneSettings | None
    precision: Precision


EncoderSettings = Annotated[I3dSettings | Clip4ClipSettings | DetectorSettings, Field(discriminator="kind")]


class GridNodesSettings(Settings):
    """Nodes: overlapping cells of a grid over the central square of a frame."""

    kind: Literal["grid"]
    sampling: str
    encoder: str
    cells: Count
    overlap: Annotated[float, Field(ge=0, lt=1)]

    @property
    def places(self) -> int:
        """Nodes that a frame can have."""
        return self.cells**2


class ObjectNodesSettings(Settings):
    """Nodes: the objects that a detector finds in a frame."""

    kind: Literal["object"]
    sampling: str
    detector: str
    region: Literal["frame", "square"]
    max_objects: Count
    score: Share
    feature: Literal["backbone", "clip"]
    encoder: str | None

    @model_validator(mode="after")
    def _clip_needs_an_encoder(self) -> Self:
        if (self.feature == "clip") != (self.encoder is not None):
            raise ValueError("`feature: clip` needs an `encoder`; `feature: backbone` is the detector's own (null)")
        return self

    @property
    def places(self) -> int:
        """Nodes that a frame can have."""
        return self.max_objects


NodesSettings = Annotated[GridNodesSettings | ObjectNodesSettings, Field(discriminator="kind")]


class SimilaritySettings(Settings):
    """Which nodes of the next frame a node is tied to."""

    top_k: Count | None


class GraphSettings(Settings):
    """An action graph: nodes, the motion on their edges, and the edges to the next frame."""

    nodes: str
    motion: str
    motion_of: Literal["frame", "union_box"]
    similarity: SimilaritySettings


class TripletSettings(Settings):
    """Where (subject, verb, object) comes from."""

    source: Literal["spacy", "openie"]
    spacy_model: str
    openie_file: Path | None
    min_count: Count
    max_entity_words: Count

    @model_validator(mode="after")
    def _openie_has_a_file(self) -> Self:
        if (self.source == "openie") != (self.openie_file is not None):
            raise ValueError("`source: openie` needs an `openie_file`; `source: spacy` has none (null)")
        return self


class EmbeddingSettings(Settings):
    """A knowledge graph embedding."""

    model: Literal["transe", "distmult", "complex", "rotate"]
    width: Count
    epochs: Count
    batch_size: Count
    lr: Positive
    held_out: Share
    seed: int

    @model_validator(mode="after")
    def _complex_numbers_are_pairs(self) -> Self:
        if self.model in ("complex", "rotate") and self.width % 2:
            raise ValueError(f"`width` ({self.width}) must be even: {self.model} has two features a complex number")
        return self


class LinkingSettings(Settings):
    """What a video is told of the knowledge graph."""

    entities: Count
    relations: Annotated[int, Field(ge=0)]
    features: Literal["text", "graph", "both"]
    videos: Literal["own", "shuffled"]


class KnowledgeSettings(Settings):
    """A knowledge graph of the training captions, and how videos are linked to it."""

    dataset: str
    sampling: str
    encoder: str
    triplets: TripletSettings
    embedding: EmbeddingSettings
    linking: LinkingSettings


class VocabularySettings(Settings):
    """Words of the training captions."""

    dataset: str
    min_count: Count
    max_words: Count


class CaptionerModelSettings(Settings):
    """Sizes of the bidirectional captioner."""

    node_position: Literal["none", "learned"]
    pool: Literal["real", "all"]
    graph_encoder: Literal["transformer", "gat", "gatv2"]
    graph_width: Count
    graph_heads: Count
    visual_width: Count
    visual_layers: Count
    visual_feedforward: Count
    visual_heads_right_to_left: Count
    visual_heads_left_to_right: Count
    fusion: Literal["concatenate", "sum"]
    knowledge_attention: Literal["mha", "mha_position", "ffn"]
    knowledge_layers: Count
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
    validation_beam: Count
    patience: Count
    precision: Precision


class NucleusSettings(Settings):
    """Diverse captions drawn from the most likely words (Holtzman et al., 2020)."""

    p: Annotated[float, Field(gt=0, le=1)]
    temperature: Positive
    samples: Count
    seed: int


class DecodingSettings(Settings):
    """How captions are searched for."""

    beam: Count
    max_words: Count
    min_words: Annotated[int, Field(ge=0)]
    length_penalty: Annotated[float, Field(ge=0)]
    no_repeat_ngram: Annotated[int, Field(ge=0)]
    rerank: Literal["none", "both"]
    nucleus: NucleusSettings | None
    batch_size: Count

    @model_validator(mode="after")
    def _shortest_is_shorter(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError(f"`min_words` ({self.min_words}) must not be more than `max_words` ({self.max_words})")
        return self


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
    objects: str | None
    knowledge: str | None
    captioner: str
    vocabulary: str
    seed: int


class PredictionSettings(Settings):
    """Captions for videos that need none of their own."""

    experiment: str
    dataset: str


class ReportSettings(Settings):
    """The report page."""

    experiments: Annotated[list[str], Field(min_length=1)]
    videos: Annotated[int, Field(ge=0)]
    resamples: Count
    akg: bool


class Config(Settings):
    """The whole of config.yaml: every section maps names to settings."""

    datasets: dict[Name, DatasetSettings]
    samplings: dict[Name, SamplingSettings]
    encoders: dict[Name, EncoderSettings]
    nodes: dict[Name, NodesSettings]
    graphs: dict[Name, GraphSettings]
    knowledge: dict[Name, KnowledgeSettings]
    vocabularies: dict[Name, VocabularySettings]
    captioners: dict[Name, CaptionerSettings]
    experiments: dict[Name, ExperimentSettings]
    predictions: dict[Name, PredictionSettings]
    report: ReportSettings


def validate(raw: Mapping[str, Any]) -> Config:
    """Check a configuration as Snakemake or YAML gives it.

    Raises:
        PipelineError: with every mistake, its place and what to write instead.
    """
    written, (raw, mistakes) = raw, resolve_likes(raw)
    config: Config | None = None
    try:
        # The JSON form: strict mode in Python would refuse a str for a Path and a list for a tuple.
        config = Config.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        mistakes += [describe(raw, dict(found), _field_names()) for found in error.errors(include_url=False)]
    mistakes += broken_references(raw)
    if mistakes or config is None:
        raise PipelineError("config: " + "; ".join(without_inherited(written, mistakes)))
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
