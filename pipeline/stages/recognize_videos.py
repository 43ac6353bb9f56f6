"""Recognize the clips of a split: logits of every view of each clip, from which scores are made.

The stage runs as one process, or as several under `pipeline.jobs.ranks`, and commits clip by clip.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.artifact import create
from pipeline.artifact.clip_store import ClipStore
from pipeline.artifact.each_video import videos_together
from pipeline.config import PartSettings, ViewSettings
from pipeline.jobs.rank_group import joined_ranks
from pipeline.models.bf16_lstms import require_computable
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.recognition.block_sharing import SharedBlocks
from pipeline.recognition.channel_order import channels_last
from pipeline.recognition.clip_source import FeatureSource
from pipeline.recognition.clip_views import protocol_of
from pipeline.recognition.labels import read_labels, require_same_classes
from pipeline.recognition.parts import labels_of_part, read_part
from pipeline.recognition.probe import read_probe
from pipeline.recognition.scored_views import ViewReader, ViewScorer
from pipeline.recognition.trained import read_trained
from pipeline.schemas import LOGITS


def run(
    *,
    clips: list[Path],
    features: list[Path],
    labels: Path,
    groups: list[Path],
    model: Path,
    experts: list[Path],
    out: Path,
    split: str,
    settings: ViewSettings,
    part: PartSettings | None,
    threads: int,
) -> None:
    """Compute the logits of all views of every clip of a split.

    Args:
        clips: Frames of the data set's clips, of all its shards; nothing for a probe.
        features: Features that a recognizer has stored of the clips, of all shards, for a probe; nothing for others.
        labels: The data set's labels.json: classes and splits.
        groups: The groups of the classes that a part of TSTL is of; nothing for the whole.
        model: A trained recognizer or probe (safetensors).
        experts: The files of the spatial and the temporal expert of a cast recognizer; nothing for others.
        out: The store to write (schema `logits`); a clip that has no frames is a failed video in it.
        split: The split whose clips are recognized: train, val or test.
        settings: The views of a clip; a probe has one.
        part: The part of TSTL that the model is: of an expert the clips of its group alone are recognized; null for the
            whole.
        threads: CPU threads of a process.

    Raises:
        PipelineError: The model was trained with other classes, or in another order.
    """
    torch.set_num_threads(threads)
    whole = read_labels(labels)
    known = labels_of_part(whole, read_part(part, groups, whole))
    with joined_ranks() as ranks:
        found = of_probe(features, model) if features else of_frames(clips, model, experts, settings)
        require_same_classes(found.classes, known, model)
        device = compute_device()
        dtype = announced_dtype(found.precision, device, "the recognizer")
        require_computable(found.model, device, dtype)
        scorer = ViewScorer(channels_last(found.model.to(device)), settings, dtype)
        ids, there = known.split(split), set(found.ids)
        failed = {clip_id: found.failed.get(clip_id, "not in clips") for clip_id in ids if clip_id not in there}
        size = max(1, settings.batch_size // (settings.temporal * settings.spatial))
        shared = SharedBlocks(
            [clip_id for clip_id in ids if clip_id not in failed], size, found.read, scorer.score, ranks
        )
        if not ranks.is_first:
            shared.help()
            return
        made_of = {f"clips_{number}": path for number, path in enumerate([*clips, *features])}
        inputs = {"model": model, "labels": labels} | made_of | dict(zip(["groups"], groups, strict=False))
        inputs |= dict(zip(("spatial", "temporal"), experts, strict=False))
        with create(out, LOGITS, ids=ids, stage="recognize_videos", settings=settings, inputs=inputs) as writer:
            videos_together(writer, failed, shared)


class Found(NamedTuple):
    """A trained model and the clips that it can be shown.

    Attributes:
        model: The network, in evaluation mode on the CPU.
        classes: Names of the classes of each head.
        precision: As settings say it.
        ids: Ids of the clips.
        failed: The reason for each clip that was left out, by id.
        read: Gives the views of some clips, `[B, V, ..]`.
    """

    model: nn.Module
    classes: dict[str, list[str]]
    precision: str
    ids: list[str]
    failed: dict[str, str]
    read: Callable[[Sequence[str]], Tensor]


def of_frames(clips: list[Path], model: Path, experts: list[Path], settings: ViewSettings) -> Found:
    """A recognizer, and stored frames."""
    store, trained = ClipStore(clips), read_trained(model, experts)
    reader = ViewReader(store, trained.settings.frames, settings, trained.colours, protocol_of(trained.settings.kind))
    precision = trained.settings.training.precision
    return Found(trained.model, trained.heads, precision, store.ids, store.failed, reader.read)


def of_probe(features: list[Path], model: Path) -> Found:
    """A probe, and stored features."""
    source, trained = FeatureSource(features), read_probe(model)
    return Found(trained.model, trained.heads, "fp32", source.features.ids, source.features.failed, source.read)
