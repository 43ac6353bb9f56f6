"""Settings of vocabularies and captioners: sizes, training, decoding."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.types import Count, Positive, Precision, Settings, Share
from pipeline.vocabulary import Tokenizer


class VocabularySettings(Settings):
    """How captions are split into words, which of them a captioner knows, and how many of a caption it learns."""

    dataset: str
    tokenizer: Tokenizer
    min_count: Count
    max_words: Count

    @model_validator(mode="before")
    @classmethod
    def _as_the_scorer_unless_said(cls, raw: Any) -> Any:
        return {"tokenizer": "ptb", **raw} if isinstance(raw, dict) else raw


class CaptionerModelSettings(Settings):
    """Architecture of the bidirectional captioner: the sizes of its layers, and which variant of a part it has."""

    node_position: Literal["none", "learned"]
    pool: Literal["present", "padded"]
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
    """Nucleus sampling, which draws diverse captions from the most likely words (Holtzman et al., 2020)."""

    p: Annotated[float, Field(gt=0, le=1)]
    temperature: Positive
    samples: Count
    seed: int


class DecodingSettings(Settings):
    """How a trained captioner searches for captions."""

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


class BidirectionalSettings(Settings):
    """The bidirectional captioner: its sizes, its training and its decoding."""

    kind: Literal["bidirectional"]
    model: CaptionerModelSettings
    training: TrainingSettings
    decoding: DecodingSettings


class LstmModelSettings(Settings):
    """Architecture of the LSTM captioner of maps: the widths of its layers, and what it attends to at every word."""

    projection: Count
    embedding: Count
    hidden: Count
    attention: Literal["none", "temporal", "spatiotemporal"]
    attention_width: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]


class LstmTrainingSettings(Settings):
    """How an LSTM captioner is trained."""

    epochs: Count
    batch_size: Annotated[int, Field(ge=2)]
    captions_per_video: Count
    accumulate: Count
    optimizer: Literal["adam", "adamw", "sgd", "adabound"]
    lr: Positive
    final_lr: Positive | None
    momentum: Share
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["none", "plateau", "polynomial", "cosine"]
    plateau: Count | None
    warmup: Share
    clip_norm: Positive | None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    noise: Annotated[float, Field(ge=0)]
    validate_every: Count
    validation_beam: Count
    patience: Count | None
    precision: Precision

    @model_validator(mode="after")
    def _numbers_fit_the_words(self) -> Self:
        if (self.schedule == "plateau") != (self.plateau is not None):
            raise ValueError(
                "`plateau` is the number of epochs without a better validation loss before `schedule: plateau` divides "
                "the learning rate by 10; null for others"
            )
        if (self.optimizer == "adabound") != (self.final_lr is not None):
            raise ValueError("`final_lr` is the rate that `optimizer: adabound` ends with; null for others")
        return self


class LstmSettings(Settings):
    """The LSTM captioner of maps: its sizes, its training and its decoding."""

    kind: Literal["lstm"]
    model: LstmModelSettings
    training: LstmTrainingSettings
    decoding: DecodingSettings

    @model_validator(mode="after")
    def _it_has_one_direction(self) -> Self:
        if self.decoding.rerank != "none":
            raise ValueError("`decoding.rerank: both` needs two directions, and an LSTM captioner has one: write none")
        return self


CaptionerSettings = Annotated[BidirectionalSettings | LstmSettings, Field(discriminator="kind")]
