"""The shape of config.yaml: one frozen model a kind of thing, no defaults, unknown keys refused.

A stage gets the model it needs as JSON on its command line; it never reads config.yaml itself. The models stand in a
module for each part of the line, and are imported from here.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from pipeline.config.captioners import (
    BidirectionalSettings,
    CaptionerModelSettings,
    CaptionerSettings,
    DecodingSettings,
    NucleusSettings,
    TrainingSettings,
    VocabularySettings,
)
from pipeline.config.datasets import (
    Clips,
    CocoCaptionsSettings,
    DatasetSettings,
    FolderSettings,
    MsrvttSettings,
    MsvdSettings,
    SamplingSettings,
    ShapesSettings,
    SplitLists,
    Splits,
    VatexSettings,
)
from pipeline.config.encoders import (
    Clip4ClipSettings,
    ClipArch,
    DetectorFinetuneSettings,
    DetectorSettings,
    EncoderSettings,
    FinetuneSettings,
    I3dSettings,
    TextArch,
    VisionArch,
)
from pipeline.config.experiments import CaptioningSettings, ExperimentSettings
from pipeline.config.graphs import (
    EmbeddingSettings,
    GraphSettings,
    GridNodesSettings,
    KnowledgeSettings,
    LinkingSettings,
    NodesSettings,
    ObjectNodesSettings,
    SimilaritySettings,
    TripletSettings,
)
from pipeline.config.likes import resolve_likes, without_inherited
from pipeline.config.mistakes import broken_references, describe
from pipeline.config.plain import require_plain
from pipeline.config.types import Count, Name, Settings, WeightsUrl
from pipeline.errors import PipelineError

__all__ = [
    "BidirectionalSettings",
    "CaptionerModelSettings",
    "CaptionerSettings",
    "CaptioningSettings",
    "Clip4ClipSettings",
    "ClipArch",
    "Clips",
    "CocoCaptionsSettings",
    "Config",
    "DatasetSettings",
    "DecodingSettings",
    "DetectorFinetuneSettings",
    "DetectorSettings",
    "EmbeddingSettings",
    "EncoderSettings",
    "ExperimentSettings",
    "FinetuneSettings",
    "FolderSettings",
    "GraphSettings",
    "GridNodesSettings",
    "I3dSettings",
    "KnowledgeSettings",
    "LinkingSettings",
    "MsrvttSettings",
    "MsvdSettings",
    "NodesSettings",
    "NucleusSettings",
    "ObjectNodesSettings",
    "PredictionSettings",
    "ReportSettings",
    "SamplingSettings",
    "Settings",
    "ShapesSettings",
    "SimilaritySettings",
    "SplitLists",
    "Splits",
    "TextArch",
    "TrainingSettings",
    "TripletSettings",
    "VatexSettings",
    "VisionArch",
    "VocabularySettings",
    "WeightsUrl",
    "parse_settings",
    "validate",
]


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
    require_plain(raw)
    written, (raw, mistakes) = raw, resolve_likes(raw)
    config: Config | None = None
    try:
        # The JSON form: strict mode in Python would refuse a str for a Path and a list for a tuple.
        config = Config.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        keys, kinds = _field_names(), kinds_of_sections()
        mistakes += [describe(raw, dict(found), keys, kinds) for found in error.errors(include_url=False)]
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


def kinds_of_sections() -> dict[str, list[str]]:
    """For each section whose entries have a kind: the kinds that there are."""
    kinds = {}
    for section, field in Config.model_fields.items():
        models = [model for model in _members(field.annotation) if "kind" in model.model_fields]
        if models:
            kinds[section] = [kind for model in models for kind in get_args(model.model_fields["kind"].annotation)]
    return kinds


def _members(annotation: Any) -> list[type[Settings]]:
    """The models that a type is made of: an alternative, the values of a dictionary, or itself."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [model for part in get_args(annotation) for model in _members(part)]


def _field_names() -> list[str]:
    models = [Settings]
    for model in models:
        models += model.__subclasses__()
    return sorted({name for model in models for name in model.model_fields})
