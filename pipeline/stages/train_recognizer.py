"""Train a recognizer, or a head on features that one has stored, on the labelled clips of the training split.

The stage runs as one process, or as several under `pipeline.jobs.ranks`. The next call with equal settings, code and
inputs continues one that was interrupted.
"""

import csv
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from pipeline.artifact import file_digest
from pipeline.artifact.clip_store import ClipStore
from pipeline.config import (
    ConvolutionalSettings,
    PartSettings,
    ProbeSettings,
    RecognizerSettings,
    RecognizerTrainingSettings,
    WeightsUrl,
)
from pipeline.jobs.rank_group import joined_ranks, num_ranks
from pipeline.jobs.storage import replaced
from pipeline.jobs.training_run import training_run
from pipeline.recognition.backbones.choice import colours_of
from pipeline.recognition.batches import ClipSource, EpochPlan
from pipeline.recognition.clip_source import FeatureSource, FrameSource
from pipeline.recognition.kick_start import Teachers
from pipeline.recognition.labels import Labels, read_labels
from pipeline.recognition.model_file import describe, read_recognizer
from pipeline.recognition.parts import Part, labels_of_part, read_part
from pipeline.recognition.pretrained import load_backbone
from pipeline.recognition.probe import Probe, describe_probe, training_of_probe
from pipeline.recognition.recognizer import Recognizer, build_recognizer
from pipeline.recognition.split_clips import training_clips, validation_clips
from pipeline.recognition.training import CURVES, ClipData, RecognizerTraining, kept_by
from pipeline.training.loop import Trained, train
from pipeline.weights.fetching import fetch
from pipeline.weights.saving import save_weights
from pipeline.workflow.code_digest import digest as code_digest

log = logging.getLogger(__name__)


def run(
    *,
    clips: list[Path],
    features: list[Path],
    labels: Path,
    groups: list[Path],
    weights: list[Path],
    teachers: list[Path],
    checkpoints: Path,
    out: Path,
    curves: Path,
    recognizer: RecognizerSettings,
    part: PartSettings | None,
    seed: int,
    threads: int,
) -> None:
    """Train a recognizer and keep the weights with the best top-1 on the validation split.

    Where epochs have the same top-1, the validation loss chooses. With `epochs: 0` the weights that the backbone begins
    with are the model, so that published ones can be scored as they are.

    Args:
        clips: Frames of the data set's clips, of all its shards; nothing for a probe.
        features: Features that a recognizer has stored of the clips, of all shards, for a probe; nothing for others.
        labels: The data set's labels.json: classes, labels and splits.
        groups: The groups of the classes that a part of TSTL is of; nothing for the whole.
        weights: The file of the backbone's weights, or the model of the experiment that they are taken from; nothing
            for random ones and for those of a URL.
        teachers: The models whose regions are learned first, in the order of the places that `kick_start` names;
            nothing without one.
        checkpoints: Folder for checkpoints and TensorBoard logs; a killed run continues from there.
        out: Where the trained model goes (safetensors).
        curves: Where losses and accuracies of each epoch go (CSV), with `kept_by` in the row of the epoch whose weights
            were kept: the column that chose it.
        recognizer: The network, its frames, and how it is trained.
        part: The part of TSTL that is trained: the groups of the classes are learned (a selector), or all classes from
            the clips of one group (an expert); null for the whole.
        seed: Seed of modules and heads, of the order of clips, of what is random in them, and of dropout.
        threads: CPU threads of a process.

    Raises:
        PipelineError: The training or the validation split has no clip with both frames and a label, all training clips
            have one class, or the network cannot be built for these frames.
    """
    torch.set_num_threads(threads)
    whole = read_labels(labels)
    own = read_part(part, groups, whole)
    known = labels_of_part(whole, own)
    model: Recognizer | Probe
    if isinstance(recognizer, ProbeSettings):
        stored = FeatureSource(features)
        training, guides = training_of_probe(recognizer.training), None
        data = gather(list(stored.features.ids), stored, whole, own, training, seed, threads)
        torch.manual_seed(seed)
        model = Probe(recognizer, stored.features.width("x"), known.widths)
        description = describe_probe(recognizer, known.heads)
    else:
        training = recognizer.training
        model, description = new_recognizer(recognizer, known, weights, seed)
        if training.epochs == 0:
            with joined_ranks() as ranks:
                if ranks.is_first:
                    write_curves(curves, Trained([], 0))
                    save_weights(model.state_dict(), out, description)
            return
        store = ClipStore(clips)
        data = gather(
            store.ids,
            frame_source(store, recognizer),
            whole,
            own,
            training,
            seed,
            threads,
            recognizer.augmentation.flip,
        )
        guides = read_teachers(recognizer, teachers, model)
        tell_of_stills(store, data.train.ids, recognizer)
    provenance = {
        "settings": recognizer.model_dump(mode="json", exclude={"views": {"temporal", "spatial", "batch_size"}}),
        "part": None if part is None else part.model_dump(mode="json"),
        "seed": seed,
        "code": code_digest("train_recognizer"),
        "inputs": [file_digest(path) for path in (*clips, *features, labels, *groups, *weights, *teachers)],
    }
    with training_run(checkpoints, provenance, [out, curves]) as run:
        if run.is_finished:
            return
        task = RecognizerTraining(model, model.heads, data, training, seed, run.ranks, guides)
        trained = train(task, run)
        if run.ranks.is_first:
            write_curves(curves, trained)
            save_weights(task.module.state_dict(), out, description)


def gather(
    known: list[str],
    source: ClipSource,
    labels: Labels,
    part: Part | None,
    training: RecognizerTrainingSettings,
    seed: int,
    threads: int,
    flip: str = "none",
) -> ClipData:
    """Gather the clips of a training.

    Args:
        known: Ids of the clips that can be read.
        source: Where they are read.
        labels: Their labels.
        part: The part of TSTL that learns from them; None for the whole.
        training: How a model is trained.
        seed: Seed of the run.
        threads: CPU threads of the process; on a GPU, as many batches are made at once.
        flip: What becomes of the labels of mirrored clips, as `augmentation` says.

    Raises:
        PipelineError: as `run` does.
    """
    there = set(known)
    train_set = training_clips(labels, there, training.per_class, flip, seed, part)
    val = validation_clips(labels, there, part)
    plan = EpochPlan(
        len(train_set.ids), training.batch_size, training.accumulate, training.epoch_clips, seed, num_ranks()
    )
    plan.check()
    source.hold([*train_set.ids, *val.ids])
    tell_of_left_out(labels_of_part(labels, part), there)
    return ClipData(plan, train_set, val, source, threads if torch.cuda.is_available() else 1)


def tell_of_left_out(labels: Labels, there: Collection[str]) -> None:
    """Say in the log how many labelled clips of a split nothing is learned from, because they cannot be read."""
    for split in ("train", "val"):
        ids = labels.split(split)
        lost = [clip_id for clip_id in ids if clip_id not in there]
        if lost:
            log.info(
                "train_recognizer: %d of %d clips of split %s have failed and are left out, such as %s",
                *(len(lost), len(ids), split, lost[0]),
            )


def tell_of_stills(store: ClipStore, ids: Sequence[str], settings: ConvolutionalSettings) -> None:
    """Say in the log how many training clips `segments` shows one frame of: see `pipeline.recognition.sampling`."""
    number = settings.frames.number
    short = [clip_id for clip_id in ids if store.num_frames(clip_id) <= number]
    if settings.frames.sampling == "segments" and number > 1 and short:
        log.info(
            "train_recognizer: %d of %d training clips, such as %s, have no more than frames: number: %d, and of these "
            "sampling: segments shows the first frame alone: lower number, or write sampling: uniform",
            *(len(short), len(ids), short[0], number),
        )


def frame_source(store: ClipStore, settings: ConvolutionalSettings) -> FrameSource:
    """The clips as a recognizer sees them."""
    colours, short_side = colours_of(settings.backbone), settings.views.short_side
    return FrameSource(store, settings.frames, settings.augmentation, short_side, colours)


def new_recognizer(
    settings: ConvolutionalSettings, labels: Labels, weights: list[Path], seed: int
) -> tuple[Recognizer, dict[str, str]]:
    """Make a recognizer whose backbone has the weights that its settings name, and the metadata of its file."""
    torch.manual_seed(seed)
    model = build_recognizer(settings, labels.widths)
    url = settings.backbone.weights
    path = fetch(url) if isinstance(url, WeightsUrl) else next(iter(weights), None)
    origin = load_backbone(model, path, settings, labels.heads)
    return model, describe(settings, labels.heads, origin)


def read_teachers(settings: ConvolutionalSettings, paths: list[Path], student: Recognizer) -> Teachers | None:
    """Read the models that `kick_start` names; None without one. Raises PipelineError if they cannot teach a place."""
    if settings.training.kick_start is None:
        return None
    places = settings.training.kick_start.teachers
    return Teachers({place: read_recognizer(path).model for place, path in zip(places, paths, strict=True)}, student)


def write_curves(path: Path, trained: Trained) -> None:
    """Write a CSV row for each epoch; `val_loss` and `val_top1` are empty where the epoch was not validated.

    The row of the epoch that was kept says in `kept_by` which column chose it.
    """
    chosen = kept_by(trained.records, trained.kept_epoch) if trained.records else ""
    if chosen:
        log.info("train_recognizer: kept the weights of epoch %d, chosen by %s", trained.kept_epoch, chosen)
    with replaced(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*CURVES, "kept_by"), lineterminator="\n")
        writer.writeheader()
        for number, record in enumerate(trained.records, start=1):
            row = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in record.items()}
            writer.writerow(row | {"kept_by": chosen if number == trained.kept_epoch else ""})
