"""What the training of a recognizer begins with: the network, where its clips come from, and what its file will say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from pipeline.artifact.clip_store import ClipStore
from pipeline.config import (
    CastSettings,
    ConvolutionalSettings,
    MixupSettings,
    ProbeSettings,
    RecognizerTrainingSettings,
    WeightsUrl,
)
from pipeline.recognition.backbones.choice import colours_of
from pipeline.recognition.batches import ClipSource
from pipeline.recognition.cast_file import describe_cast
from pipeline.recognition.cast_recognizer import COLOURS, build_over, read_experts
from pipeline.recognition.cast_weights import load_part
from pipeline.recognition.clip_source import FeatureSource, FrameSource
from pipeline.recognition.fronts import FromFronts, FrontSource, require_made_for
from pipeline.recognition.kick_start import Teachers
from pipeline.recognition.labels import Labels
from pipeline.recognition.model_file import describe, read_recognizer
from pipeline.recognition.pretrained import load_backbone
from pipeline.recognition.probe import Probe, describe_probe, training_of_probe
from pipeline.recognition.recognizer import Recognizer, build_recognizer
from pipeline.weights.fetching import fetch


@dataclass(frozen=True)
class Beginning:
    """A recognizer as its training begins.

    Attributes:
        model: The network, which turns what the source gives into logits.
        heads: The part of it that gives the logits.
        learned: The part of it that learns, whose state its file holds.
        description: Metadata of its file.
        training: How it is trained.
        source: Where its clips come from.
        ids: Ids of the clips that can be read there.
        flip: What becomes of the labels of mirrored clips, as `augmentation` says.
        mixup: How clips are mixed; None for not.
        teachers: Models whose regions are learned first; None without `kick_start`.
    """

    model: nn.Module
    heads: nn.Module
    learned: nn.Module
    description: dict[str, str]
    training: RecognizerTrainingSettings
    source: ClipSource
    ids: Sequence[str]
    flip: str = "none"
    mixup: MixupSettings | None = None
    teachers: Teachers | None = None


def probe(settings: ProbeSettings, labels: Labels, features: Sequence[Path], seed: int) -> Beginning:
    """A head that sees stored features.

    Args:
        settings: Of the probe.
        labels: The classes of its heads.
        features: The features of all shards.
        seed: Seed of its weights.
    """
    source = FeatureSource(features)
    torch.manual_seed(seed)
    model = Probe(settings, source.features.width("x"), labels.widths)
    description = describe_probe(settings, labels.heads)
    training = training_of_probe(settings.training)
    return Beginning(model, model.heads, model, description, training, source, source.features.ids)


def convolutional(
    settings: ConvolutionalSettings,
    labels: Labels,
    clips: Sequence[Path],
    weights: Sequence[Path],
    teachers: Sequence[Path],
    seed: int,
) -> Beginning:
    """A convolutional recognizer whose backbone has the weights that its settings name.

    Args:
        settings: Of the recognizer.
        labels: The classes of its heads.
        clips: The frames of all shards.
        weights: The file of the backbone's weights, or the model that they are taken from; nothing for random ones and
            for those of a URL.
        teachers: The models that `kick_start` names.
        seed: Seed of modules and heads.

    Raises:
        PipelineError: The network cannot be built, the weights do not fit, or a teacher has nothing to teach.
    """
    torch.manual_seed(seed)
    model = build_recognizer(settings, labels.widths)
    url = settings.backbone.weights
    path = fetch(url) if isinstance(url, WeightsUrl) else next(iter(weights), None)
    origin = load_backbone(model, path, settings, labels.heads)
    store, augmentation = ClipStore(clips), settings.augmentation
    source = FrameSource(store, settings.frames, augmentation, settings.views.short_side, colours_of(settings.backbone))
    description = describe(settings, labels.heads, origin)
    of_clips = (augmentation.flip, augmentation.mixup)
    guides = read_teachers(settings, teachers, model)
    return Beginning(
        model, model.heads, model, description, settings.training, source, store.ids, *of_clips, teachers=guides
    )


def cast(
    settings: CastSettings,
    labels: Labels,
    clips: Sequence[Path],
    fronts: Sequence[Path],
    weights: Sequence[Path],
    experts: Sequence[Path],
    seed: int,
) -> Beginning:
    """What CAST trains, over two frozen experts, and over what these have made of clips where views are stored.

    Args:
        settings: Of the recognizer.
        labels: The classes of its heads.
        clips: The frames of all shards.
        fronts: The stored views of all shards, with `stored_views`; nothing without.
        weights: The published checkpoint that `weights` names; nothing for random ones.
        experts: The files of the spatial and the temporal expert.
        seed: Seed of what is trained.

    Raises:
        PipelineError: An expert cannot be read, the two are not alike, or the settings do not fit them; or the
            checkpoint is of another network, over other experts, or for other classes; or views were stored for
            another recognizer.
    """
    spatial, temporal = experts
    read = read_experts(spatial, temporal)
    torch.manual_seed(seed)
    model = build_over(read, settings, labels.widths)
    begun = load_part(model, next(iter(weights), None), settings, read, labels.heads)
    augmentation, training = settings.augmentation, settings.training
    if settings.stored_views is not None:
        require_made_for(fronts, settings, read)
        stored = FrontSource(fronts, settings.stored_views)
        shown: nn.Module = FromFronts(model)
        source: ClipSource = stored
        ids = stored.fronts.ids
    else:
        store = ClipStore(clips)
        shown, ids = model, store.ids
        source = FrameSource(store, settings.frames, augmentation, settings.views.short_side, COLOURS, "cast")
    description = describe_cast(settings, labels.heads, read, begun)
    of_clips = (augmentation.flip, augmentation.mixup)
    return Beginning(shown, model.heads, model.learned, description, training, source, ids, *of_clips)


def read_teachers(settings: ConvolutionalSettings, paths: Sequence[Path], student: Recognizer) -> Teachers | None:
    """Read the models that `kick_start` names; None without one. Raises PipelineError if they cannot teach a place."""
    if settings.training.kick_start is None:
        return None
    places = settings.training.kick_start.teachers
    return Teachers({place: read_recognizer(path).model for place, path in zip(places, paths, strict=True)}, student)
