"""Train a recognizer, or a head on features that one has stored, on the labelled clips of the training split.

The stage runs as one process, or as several under `pipeline.jobs.ranks`. The next call with equal settings, code and
inputs continues one that was interrupted.
"""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from pipeline.artifact import file_digest
from pipeline.config import CastSettings, PartSettings, ProbeSettings, RecognizerSettings
from pipeline.jobs.rank_group import joined_ranks, num_ranks
from pipeline.jobs.training_run import training_run
from pipeline.recognition import beginnings
from pipeline.recognition.balanced import plan_of
from pipeline.recognition.batches import ClipSource
from pipeline.recognition.beginnings import Beginning
from pipeline.recognition.clip_source import FrameSource
from pipeline.recognition.labels import Labels, read_labels
from pipeline.recognition.parts import Part, labels_of_part, read_part
from pipeline.recognition.split_clips import training_clips, validation_clips
from pipeline.recognition.training import CURVES, ClipData, RecognizerTraining, kept_by
from pipeline.training.curves import write_curves
from pipeline.training.loop import Trained, train
from pipeline.weights.saving import save_weights
from pipeline.workflow.code_digest import digest as code_digest

log = logging.getLogger(__name__)


def run(
    *,
    clips: list[Path],
    features: list[Path],
    fronts: list[Path],
    labels: Path,
    groups: list[Path],
    weights: list[Path],
    experts: list[Path],
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

    Where epochs have the same top-1, the validation loss chooses. With `epochs: 0` the weights that the network begins
    with are the model, so that published ones can be scored as they are.

    Args:
        clips: Frames of the data set's clips, of all its shards; nothing for a probe.
        features: Features that a recognizer has stored of the clips, of all shards, for a probe; nothing for others.
        fronts: What the experts of a cast recognizer have made of the views of its clips, of all shards, with
            `stored_views`; nothing without.
        labels: The data set's labels.json: classes, labels and splits.
        groups: The groups of the classes that a part of TSTL is of; nothing for the whole.
        weights: The file of the backbone's weights, or the model of the experiment that they are taken from, or the
            published checkpoint that a cast recognizer begins with; nothing for random ones and for those of a URL.
        experts: The files of the spatial and the temporal expert of a cast recognizer; nothing for others.
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
    if isinstance(recognizer, ProbeSettings):
        begun = beginnings.probe(recognizer, known, features, seed)
    elif isinstance(recognizer, CastSettings):
        begun = beginnings.cast(recognizer, known, clips, fronts, weights, experts, seed)
    else:
        begun = beginnings.convolutional(recognizer, known, clips, weights, teachers, seed)
    if begun.training.epochs == 0:
        with joined_ranks() as ranks:
            if ranks.is_first:
                write_curves(curves, Trained([], 0), "train_recognizer", CURVES, "", ".6g")
                save_weights(begun.learned.state_dict(), out, begun.description)
        return
    data = gather(begun, whole, own, seed, threads)
    tell_of_stills(begun.source, data.train.ids)
    made_of = (*clips, *features, *fronts, labels, *groups, *weights, *experts, *teachers)
    provenance = {
        "settings": recognizer.model_dump(mode="json", exclude={"views": {"temporal", "spatial", "batch_size"}}),
        "part": None if part is None else part.model_dump(mode="json"),
        "seed": seed,
        "code": code_digest("train_recognizer"),
        "inputs": [file_digest(path) for path in made_of],
    }
    with training_run(checkpoints, provenance, [out, curves]) as run:
        if run.is_finished:
            return
        task = RecognizerTraining(
            *(begun.model, begun.heads, data, begun.training, seed, run.ranks, begun.teachers, begun.learned)
        )
        trained = train(task, run)
        if run.ranks.is_first:
            chosen = kept_by(trained.records, trained.kept_epoch)
            write_curves(curves, trained, "train_recognizer", CURVES, chosen, ".6g")
            save_weights(task.learned.state_dict(), out, begun.description)


def gather(begun: Beginning, labels: Labels, part: Part | None, seed: int, threads: int) -> ClipData:
    """Gather the clips of a training.

    Args:
        begun: What is trained, and where its clips are read.
        labels: Their labels.
        part: The part of TSTL that learns from them; None for the whole.
        seed: Seed of the run.
        threads: CPU threads of the process; on a GPU, as many batches are made at once.

    Raises:
        PipelineError: as `run` does.
    """
    training, source = begun.training, begun.source
    there = set(begun.ids)
    train_set = training_clips(labels, there, training.per_class, begun.flip, seed, part)
    val = validation_clips(labels, there, part)
    plan = plan_of(train_set, training, seed, num_ranks())
    plan.check()
    source.hold([*train_set.ids, *val.ids])
    tell_of_left_out(labels_of_part(labels, part), there)
    return ClipData(plan, train_set, val, source, threads if torch.cuda.is_available() else 1, begun.mixup)


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


def tell_of_stills(source: ClipSource, ids: Sequence[str]) -> None:
    """Say in the log how many training clips `segments` shows one frame of: see `pipeline.recognition.sampling`."""
    if not isinstance(source, FrameSource) or source.frames.sampling != "segments":
        return
    number = source.frames.number
    short = [clip_id for clip_id in ids if source.clips.num_frames(clip_id) < number]
    if number > 1 and short:
        log.info(
            "train_recognizer: %d of %d training clips, such as %s, have fewer than frames: number: %d, and of these "
            "sampling: segments shows the first frame alone: lower number, or write sampling: uniform",
            *(len(short), len(ids), short[0], number),
        )
