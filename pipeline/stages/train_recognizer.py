"""Train a recognizer on the labelled clips of the training split.

The stage runs as one process, or as several under `pipeline.jobs.ranks`. The next call with equal settings, code and
inputs continues one that was interrupted.
"""

import csv
import logging
from pathlib import Path

import torch

from pipeline.artifact import file_digest
from pipeline.artifact.clip_store import ClipStore
from pipeline.config import ConvolutionalSettings, WeightsUrl
from pipeline.jobs.rank_group import num_ranks
from pipeline.jobs.storage import replaced
from pipeline.jobs.training_run import training_run
from pipeline.recognition.backbones.choice import colours_of
from pipeline.recognition.batches import EpochPlan
from pipeline.recognition.clip_source import FrameSource
from pipeline.recognition.labels import Labels, labelled_clips, read_labels, training_clips
from pipeline.recognition.model_file import describe
from pipeline.recognition.pretrained import load_backbone
from pipeline.recognition.recognizer import Recognizer, build_recognizer
from pipeline.recognition.training import CURVES, ClipData, RecognizerTraining, kept_by
from pipeline.training.loop import Trained, train
from pipeline.weights.fetching import fetch
from pipeline.weights.saving import save_weights
from pipeline.workflow.code_digest import digest as code_digest

log = logging.getLogger(__name__)


def run(
    *,
    clips: list[Path],
    labels: Path,
    weights: list[Path],
    checkpoints: Path,
    out: Path,
    curves: Path,
    recognizer: ConvolutionalSettings,
    seed: int,
    threads: int,
) -> None:
    """Train a recognizer and keep the weights with the best top-1 on the validation split.

    Where epochs have the same top-1, the validation loss chooses.

    Args:
        clips: Frames of the data set's clips, of all its shards.
        labels: The data set's labels.json: classes, labels and splits.
        weights: The file of the backbone's weights, or the model of the experiment that they are taken from; nothing
            for random ones and for those of a URL.
        checkpoints: Folder for checkpoints and TensorBoard logs; a killed run continues from there.
        out: Where the trained model goes (safetensors).
        curves: Where losses and accuracies of each epoch go (CSV), with `kept_by` in the row of the epoch whose weights
            were kept: the column that chose it.
        recognizer: The network, its frames, and how it is trained.
        seed: Seed of modules and heads, of the order of clips, of what is random in them, and of dropout.
        threads: CPU threads of a process.

    Raises:
        PipelineError: The training or the validation split has no clip with both frames and a label, all training clips
            have one class, or the network cannot be built for these frames.
    """
    torch.set_num_threads(threads)
    known = read_labels(labels)
    data = clip_data(ClipStore(clips), known, recognizer, seed, threads)
    provenance = {
        "settings": recognizer.model_dump(mode="json", exclude={"views": {"temporal", "spatial", "batch_size"}}),
        "seed": seed,
        "code": code_digest("train_recognizer"),
        "inputs": [file_digest(path) for path in (*clips, labels, *weights)],
    }
    with training_run(checkpoints, provenance, [out, curves]) as run:
        if run.is_finished:
            return
        model, origin = new_recognizer(recognizer, known, weights, seed)
        task = RecognizerTraining(model, model.heads, data, recognizer.training, seed, run.ranks)
        trained = train(task, run)
        if run.ranks.is_first:
            write_curves(curves, trained)
            save_weights(task.module.state_dict(), out, describe(recognizer, known.heads, origin))


def clip_data(store: ClipStore, labels: Labels, settings: ConvolutionalSettings, seed: int, threads: int) -> ClipData:
    """Gather the clips of a training.

    Args:
        store: The frames of the clips.
        labels: Their labels.
        settings: The recognizer's.
        seed: Seed of the run.
        threads: CPU threads of the process; on a GPU, as many batches are made at once.

    Raises:
        PipelineError: as `run` does.
    """
    training = settings.training
    known = set(store.ids)
    train_set = training_clips(labels, known, training.per_class, settings.augmentation.flip, seed)
    val = labelled_clips(labels, "val", known)
    plan = EpochPlan(
        len(train_set.ids), training.batch_size, training.accumulate, training.epoch_clips, seed, num_ranks()
    )
    plan.check()
    source = FrameSource(
        store,
        [*train_set.ids, *val.ids],
        settings.frames,
        settings.augmentation,
        settings.views.short_side,
        colours_of(settings.backbone),
    )
    return ClipData(plan, train_set, val, source, threads if torch.cuda.is_available() else 1)


def new_recognizer(
    settings: ConvolutionalSettings, labels: Labels, weights: list[Path], seed: int
) -> tuple[Recognizer, str]:
    """Make a recognizer whose backbone has the weights that its settings name, and say where these come from."""
    torch.manual_seed(seed)
    model = build_recognizer(settings, labels.widths)
    url = settings.backbone.weights
    path = fetch(url) if isinstance(url, WeightsUrl) else next(iter(weights), None)
    return model, load_backbone(model, path, settings, labels.heads)


def write_curves(path: Path, trained: Trained) -> None:
    """Write a CSV row for each epoch; `val_loss` and `val_top1` are empty where the epoch was not validated.

    The row of the epoch that was kept says in `kept_by` which column chose it.
    """
    chosen = kept_by(trained.records, trained.kept_epoch)
    log.info("train_recognizer: kept the weights of epoch %d, chosen by %s", trained.kept_epoch, chosen)
    with replaced(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*CURVES, "kept_by"), lineterminator="\n")
        writer.writeheader()
        for number, record in enumerate(trained.records, start=1):
            row = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in record.items()}
            writer.writerow(row | {"kept_by": chosen if number == trained.kept_epoch else ""})
