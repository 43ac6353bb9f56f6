"""Models of config.yaml's sections and entries: they are frozen, have no defaults, and refuse unknown keys.

A stage is given the settings it needs as JSON on its command line; it never reads config.yaml itself. Each module of
this package holds the models of one part of the workflow; other code imports them from here.
"""

import json
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from pipeline.config.backbones import (
    BackboneSettings,
    DyRegSettings,
    ModuleSettings,
    OfExperiment,
    ResNetSettings,
    RstgSettings,
    SimpleConvSettings,
    TorchvisionSettings,
)
from pipeline.config.captioners import (
    BidirectionalSettings,
    CaptionerModelSettings,
    CaptionerSettings,
    DecodingSettings,
    LstmModelSettings,
    LstmSettings,
    LstmTrainingSettings,
    NucleusSettings,
    TrainingSettings,
    VocabularySettings,
)
from pipeline.config.clippings import ClippingSettings
from pipeline.config.datasets import (
    Clips,
    CocoCaptionsSettings,
    DatasetSettings,
    DenseCaptionsSettings,
    FolderSettings,
    IdxGlyphs,
    MsrvttSettings,
    MsvdSettings,
    SamplingSettings,
    ShapesSettings,
    SplitLists,
    Splits,
    SyncMnistSettings,
    VatexSettings,
)
from pipeline.config.encoders import (
    ActiveClipArch,
    CastEncoderSettings,
    Clip4ClipSettings,
    ClipArch,
    DecoderArch,
    DetectorFinetuneSettings,
    DetectorSettings,
    EncoderSettings,
    FinetuneSettings,
    I3dSettings,
    PretrainSettings,
    RecognizerEncoderSettings,
    TextArch,
    VideoMaeArch,
    VideoMaeSettings,
    VisionArch,
    WeightsEncoderSettings,
)
from pipeline.config.experiments import (
    CaptioningSettings,
    ExperimentSettings,
    ExternalSettings,
    ImportSettings,
    MapCaptioningSettings,
    PartSettings,
    RecognitionSettings,
    RoutingSettings,
)
from pipeline.config.experts import unfit_experts
from pipeline.config.explanations import ExplanationSettings, RelevanceSettings
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
from pipeline.config.groups import (
    ConfusedGroupsSettings,
    ConsecutiveGroupsSettings,
    GroupFileSettings,
    GroupsSettings,
)
from pipeline.config.labelled_datasets import (
    AnnotationFiles,
    ClipForm,
    EpicKitchensSettings,
    Hmdb51Settings,
    KineticsSettings,
    LabelledListSettings,
    SomethingSomethingSettings,
    Ucf101Settings,
)
from pipeline.config.likes import resolve_likes, without_inherited
from pipeline.config.maps import MapsSettings
from pipeline.config.mistakes import broken_references, describe
from pipeline.config.plain import require_plain
from pipeline.config.recognizers import (
    BalancedSettings,
    CastSettings,
    ClipAugmentationSettings,
    ClipSamplingSettings,
    ConvolutionalSettings,
    FrontSettings,
    KickStartSettings,
    MixupSettings,
    ProbeSettings,
    ProbeTrainingSettings,
    RandAugmentSettings,
    RecognizerSettings,
    RecognizerTrainingSettings,
    TripletLossSettings,
    ViewSettings,
    WindowSettings,
)
from pipeline.config.report import (
    ClipScoresSettings,
    PublishedCaptionsSettings,
    PublishedSettings,
    ReportSettings,
)
from pipeline.config.types import Name, Settings, WeightsUrl
from pipeline.errors import PipelineError

__all__ = [
    "ActiveClipArch",
    "AnnotationFiles",
    "BackboneSettings",
    "BalancedSettings",
    "BidirectionalSettings",
    "CaptionerModelSettings",
    "CaptionerSettings",
    "CaptioningSettings",
    "CastEncoderSettings",
    "CastSettings",
    "Clip4ClipSettings",
    "ClipArch",
    "ClipAugmentationSettings",
    "ClipForm",
    "ClipSamplingSettings",
    "ClipScoresSettings",
    "ClippingSettings",
    "Clips",
    "CocoCaptionsSettings",
    "Config",
    "ConfusedGroupsSettings",
    "ConsecutiveGroupsSettings",
    "ConvolutionalSettings",
    "DatasetSettings",
    "DecoderArch",
    "DecodingSettings",
    "DenseCaptionsSettings",
    "DetectorFinetuneSettings",
    "DetectorSettings",
    "DyRegSettings",
    "EmbeddingSettings",
    "EncoderSettings",
    "EpicKitchensSettings",
    "ExperimentSettings",
    "ExplanationSettings",
    "ExternalSettings",
    "FinetuneSettings",
    "FolderSettings",
    "FrontSettings",
    "GraphSettings",
    "GridNodesSettings",
    "GroupFileSettings",
    "GroupsSettings",
    "Hmdb51Settings",
    "I3dSettings",
    "IdxGlyphs",
    "ImportSettings",
    "KickStartSettings",
    "KineticsSettings",
    "KnowledgeSettings",
    "LabelledListSettings",
    "LinkingSettings",
    "LstmModelSettings",
    "LstmSettings",
    "LstmTrainingSettings",
    "MapCaptioningSettings",
    "MapsSettings",
    "MixupSettings",
    "ModuleSettings",
    "MsrvttSettings",
    "MsvdSettings",
    "NodesSettings",
    "NucleusSettings",
    "ObjectNodesSettings",
    "OfExperiment",
    "PartSettings",
    "PredictionSettings",
    "PretrainSettings",
    "ProbeSettings",
    "ProbeTrainingSettings",
    "PublishedCaptionsSettings",
    "PublishedSettings",
    "RandAugmentSettings",
    "RecognitionSettings",
    "RecognizerEncoderSettings",
    "RecognizerSettings",
    "RecognizerTrainingSettings",
    "RelevanceSettings",
    "ReportSettings",
    "ResNetSettings",
    "RoutingSettings",
    "RstgSettings",
    "SamplingSettings",
    "Settings",
    "ShapesSettings",
    "SimilaritySettings",
    "SimpleConvSettings",
    "SomethingSomethingSettings",
    "SplitLists",
    "Splits",
    "SyncMnistSettings",
    "TextArch",
    "TorchvisionSettings",
    "TrainingSettings",
    "TripletLossSettings",
    "TripletSettings",
    "Ucf101Settings",
    "VatexSettings",
    "VideoMaeArch",
    "VideoMaeSettings",
    "ViewSettings",
    "VisionArch",
    "VocabularySettings",
    "WeightsEncoderSettings",
    "WeightsUrl",
    "WindowSettings",
    "parse_settings",
    "validate",
]


class PredictionSettings(Settings):
    """An entry of `predictions`: the experiment that captions a data set, which needs no captions of its own."""

    experiment: str
    dataset: str


class Config(Settings):
    """The whole of config.yaml: every section but `report` maps names to settings."""

    datasets: dict[Name, DatasetSettings]
    samplings: dict[Name, SamplingSettings]
    encoders: dict[Name, EncoderSettings]
    nodes: dict[Name, NodesSettings]
    graphs: dict[Name, GraphSettings]
    maps: dict[Name, MapsSettings]
    knowledge: dict[Name, KnowledgeSettings]
    vocabularies: dict[Name, VocabularySettings]
    captioners: dict[Name, CaptionerSettings]
    clippings: dict[Name, ClippingSettings]
    recognizers: dict[Name, RecognizerSettings]
    groups: dict[Name, GroupsSettings]
    experiments: dict[Name, ExperimentSettings]
    predictions: dict[Name, PredictionSettings]
    explanations: dict[Name, ExplanationSettings]
    report: ReportSettings


def validate(raw: Mapping[str, Any]) -> Config:
    """Check a configuration as Snakemake or a YAML loader gives it, and make the model of it.

    Raises:
        PipelineError: naming every mistake, its place, and what to write instead.
    """
    require_plain(raw)
    written, (raw, mistakes) = raw, resolve_likes(raw)
    config: Config | None = None
    try:
        # Validated as JSON, because strict mode refuses a str for a Path and a list for a tuple in Python objects.
        config = Config.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        kinds = kinds_of_sections()
        mistakes += [
            describe(raw, dict(found), keys_beside(found["loc"]), kinds) for found in error.errors(include_url=False)
        ]
    mistakes += broken_references(raw)
    mistakes += unfit_experts(config.recognizers, config.encoders) if config else []
    if mistakes or config is None:
        raise PipelineError("config: " + "; ".join(without_inherited(written, mistakes)))
    return config


def parse_settings(model: Any, text: str) -> Any:
    """Make settings of the JSON text that a rule passes to a stage.

    Args:
        model: A settings model, or a union of some.
        text: The settings as JSON.

    Raises:
        PipelineError: if the text does not fit the model.
    """
    try:
        return TypeAdapter(model).validate_json(text)
    except ValidationError as error:
        found = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors(include_url=False)]
        raise PipelineError(f"settings: {'; '.join(found)}") from error


def kinds_of_sections() -> dict[str, list[str]]:
    """The known kinds of each section whose entries have a `kind`."""
    kinds = {}
    for section, field in Config.model_fields.items():
        models = [model for model in _members(field.annotation) if "kind" in model.model_fields]
        if models:
            kinds[section] = [kind for model in models for kind in get_args(model.model_fields["kind"].annotation)]
    return kinds


def keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand at the level of a key, so that one of them can be suggested in its place.

    Args:
        location: Where the key is, as pydantic says it: names of entries, and kinds that chose a model, among the keys.
    """
    models: list[type[Settings]] = [Config]
    is_entry = is_kind = False  # whether the next part is the name of an entry, and whether it is its kind
    for part in location[:-1]:
        if is_entry:
            is_entry, is_kind = False, True
            continue
        of_kind = [model for model in models if is_kind and part in _kinds(model)]
        annotations = [model.model_fields[str(part)].annotation for model in models if part in model.model_fields]
        if of_kind:  # before keys: generated data sets of kind `shapes` have a key of that name
            models = of_kind
        elif annotations:
            is_entry = any(get_origin(annotation) is dict for annotation in annotations)
            models = [model for annotation in annotations for model in _members(annotation)]
        is_kind = False
    return sorted({name for model in models for name in model.model_fields})


def _kinds(model: type[Settings]) -> tuple[str, ...]:
    return get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()


def _members(annotation: Any) -> list[type[Settings]]:
    """The settings models within a type: the type itself, the members of a union, or the values of a dictionary."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [model for part in get_args(annotation) for model in _members(part)]
