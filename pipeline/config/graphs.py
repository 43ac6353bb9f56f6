"""Settings of nodes, action graphs and knowledge graphs."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.types import Count, Positive, Settings, Share


class GridNodesSettings(Settings):
    """Nodes that are the overlapping cells of a grid over the central square of a frame."""

    kind: Literal["grid"]
    sampling: str
    encoder: str
    cells: Count
    overlap: Annotated[float, Field(ge=0, lt=1)]

    @property
    def max_nodes(self) -> int:
        """The largest number of nodes that a frame can have."""
        return self.cells**2


class ObjectNodesSettings(Settings):
    """Nodes that are the objects which a detector finds in a frame."""

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
    def max_nodes(self) -> int:
        """The largest number of nodes that a frame can have."""
        return self.max_objects


NodesSettings = Annotated[GridNodesSettings | ObjectNodesSettings, Field(discriminator="kind")]


class SimilaritySettings(Settings):
    """Which nodes of the next frame edges connect a node to: the `top_k` most similar ones, or all if it is None."""

    top_k: Count | None


class GraphSettings(Settings):
    """An action graph: its nodes, the motion features of its edges, and its edges to the next frame."""

    nodes: str
    motion: str
    motion_of: Literal["frame", "union_box"]
    similarity: SimilaritySettings


class TripletSettings(Settings):
    """How (subject, verb, object) triplets are extracted from captions, and which of them are kept."""

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
    """How the entities and relations of a knowledge graph are embedded: the model and its training."""

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
    """Which entities and relations of the knowledge graph a video is given, and as which features."""

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
