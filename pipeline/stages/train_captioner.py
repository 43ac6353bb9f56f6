"""Train the bidirectional captioner (AKG-sv) on the graphs and captions of the training split.

What else it reads besides graphs is what it is given: knowledge, objects, motion of pairs of nodes, or none of these.

Runs as one process, or as several under torchrun. Checkpoints go to a folder that no rule declares, because Snakemake
deletes declared outputs before it tries again: a second call with equal settings, code and inputs continues after the
last whole epoch, or after the step before which SIGTERM came.
"""

import csv
import logging
import os
import shutil
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy

from pipeline import gpus, preemption
from pipeline.artifact import file_digest, read_json
from pipeline.checkpoints import LAST, read_checkpoint, run_folder, write_checkpoint
from pipeline.code_digest import digest as code_digest
from pipeline.config import CaptionerModelSettings, NodesSettings, TrainingSettings
from pipeline.errors import PipelineError
from pipeline.finished_training import is_finished, keep, put_back
from pipeline.models.action_graph import load_graphs
from pipeline.models.captioner import Captioner
from pipeline.storage import replaced, sole_writer
from pipeline.training.caption_batches import CaptionedVideos, EpochPlan
from pipeline.training.captioner_training import CURVES, CaptionData, CaptionerTraining
from pipeline.training.model_file import describe_model
from pipeline.training.vocabulary import Vocabulary, read_vocabulary


def run(
    *,
    graphs: list[Path],
    pair_motion: list[Path],
    knowledge: list[Path],
    objects: list[Path],
    captions: Path,
    vocabulary: Path,
    checkpoints: Path,
    out: Path,
    curves: Path,
    model: CaptionerModelSettings,
    training: TrainingSettings,
    nodes: NodesSettings,
    seed: int,
    threads: int,
) -> None:
    """Train a captioner and keep the weights with the best CIDEr on the validation split.

    Args:
        graphs: Graphs of the data set, all its shards.
        pair_motion: Motion of their pairs of nodes, all shards; none where edges carry that of the frame.
        knowledge: Rows of knowledge, all shards; none for a captioner without.
        objects: Object nodes to attend to besides the graph, all shards; none for a captioner without.
        captions: The data set's captions.json: captions and splits.
        vocabulary: The words, from build_vocabulary.
        checkpoints: Folder for checkpoints and TensorBoard logs; a killed run continues from there.
        out: Where the trained model goes (safetensors).
        curves: Where losses and validation scores of each epoch go (CSV).
        model: Sizes of the model.
        training: How it is trained.
        nodes: What the nodes of the graphs are, for the number that a frame can have.
        seed: Of initial weights, order, pairing and dropout.
        threads: CPU threads of a process.
    """
    torch.set_num_threads(threads)
    known = load_graphs(graphs, pair_motion, knowledge, objects)
    dataset = read_json(captions, ["captions", "splits"], "index_captions")
    words = read_vocabulary(vocabulary)
    plan = EpochPlan(
        captioned(known, dataset, "train", words, captions),
        training.batch_size,
        training.accumulate,
        training.captions_per_video,
        training.reverse_pairing,
        seed,
        int(os.environ.get("WORLD_SIZE", "1")),  # set by torchrun
    )
    plan.check()
    data = CaptionData(known, plan, captioned(known, dataset, "val", words, captions))
    everything = {
        "settings": [settings.model_dump(mode="json") for settings in (model, training)],
        "places": nodes.places,
        "seed": seed,
        "code": code_digest("train_captioner"),
        "inputs": [file_digest(path) for path in (*graphs, *pair_motion, *knowledge, *objects, captions, vocabulary)],
    }
    folder = run_folder(checkpoints, everything)
    is_first = os.environ.get("RANK", "0") == "0"  # set by torchrun
    with sole_writer(folder / "lock", out) if is_first else nullcontext():
        if is_finished(folder, [out, curves]):
            if is_first:
                put_back(folder, [out, curves])
            return
        task = new_training(model, training, nodes.places, words, data, dataset["captions"], seed, folder)
        with preemption.deferred():
            fit(task, folder)
        if is_first:
            write_curves(curves, task.curves)
            with replaced(out) as new:
                shutil.copyfile(task.best, new)
            keep(folder, [out, curves])
            for name in (LAST, task.best.name):  # what is complete need not be continued; the logs stay
                (folder / name).unlink(missing_ok=True)


def captioned(known: Any, dataset: dict[str, Any], split: str, vocabulary: Vocabulary, source: Path) -> CaptionedVideos:
    """The videos of a split that have both a graph and captions.

    Raises:
        PipelineError: if there is none.
    """
    ids = dataset["splits"].get(split, [])
    videos = CaptionedVideos.of_split([i for i in ids if i in known], dataset["captions"], vocabulary)
    if not videos.ids:
        raise PipelineError(
            f"{source}: none of the {len(ids)} videos of split '{split}' has both a graph and a caption, and training "
            "needs some; check the splits and the videos that failed"
        )
    return videos


def new_training(
    model: CaptionerModelSettings,
    training: TrainingSettings,
    places: int,
    vocabulary: Vocabulary,
    data: CaptionData,
    captions: dict[str, list[str]],
    seed: int,
    folder: Path,
) -> CaptionerTraining:
    """A captioner with fresh weights, ready to be fitted."""
    first = data.graphs[data.plan.videos.ids[0]]
    dims = {
        "node_dim": first.x.shape[1],
        "motion_dim": (first.pair_motion if "pair_motion" in first else first.motion).shape[1],
        "knowledge_dim": first.knowledge.shape[1] if "knowledge" in first else 0,
        "object_dim": first.objects.shape[1] if "objects" in first else 0,
        "places": places,
    }
    torch.manual_seed(seed)
    captioner = Captioner(model, len(vocabulary), **dims)
    description = describe_model(model, vocabulary, **dims)
    best = folder / "best.safetensors"
    return CaptionerTraining(captioner, vocabulary, data, captions, training, seed, best, description)


def fit(task: CaptionerTraining, folder: Path) -> None:
    """Train, or continue from the checkpoint."""
    trainer = new_trainer(task, folder)
    last = folder / LAST
    is_there = read_checkpoint(last) is not None
    trainer.fit(task, datamodule=task.data, ckpt_path=last if is_there else None, weights_only=True)


def new_trainer(task: CaptionerTraining, folder: Path) -> L.Trainer:
    """A Lightning trainer for the processes and devices there are."""
    quiet_lightning()
    device = gpus.device()
    num_processes = task.data.plan.num_processes
    backend = "nccl" if device.type == "cuda" else "gloo"
    return L.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=num_processes,
        strategy=DDPStrategy(process_group_backend=backend, broadcast_buffers=False) if num_processes > 1 else "auto",
        precision="bf16-mixed" if gpus.dtype(task.settings.precision, device) == torch.bfloat16 else "32-true",
        max_epochs=task.settings.epochs,
        accumulate_grad_batches=task.settings.accumulate,
        gradient_clip_val=task.settings.clip_norm,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        plugins=[WholeCheckpoints(), TorchElasticEnvironment() if num_processes > 1 else LightningEnvironment()],
        logger=TensorBoardLogger(folder, name="", version="tensorboard"),
        callbacks=[
            ModelCheckpoint(
                folder,
                Path(LAST).stem,
                save_top_k=1,
                every_n_epochs=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            )
        ],
        enable_progress_bar=False,
        enable_model_summary=False,
    )


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole whenever a disk is full.

    Lightning's own are written to the temporary folder and moved; between file systems that is copied, over the last.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ARG002
        """Put it in the place of the last one."""
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:  # noqa: ARG002
        """Read it; never anything but tensors and plain values."""
        return read_checkpoint(Path(path))


def quiet_lightning() -> None:
    """Leave out what Lightning says about devices it did not use and folders it goes on with."""
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*LeafSpec.* is deprecated.*",  # Lightning 2.6 uses what torch 2.15 renames
        "Checkpoint directory .* exists and is not empty.*",
        ".*smaller than the logging interval.*",
        ".*`srun` command is available.*",
        ".*your dataloader is not resumable.*",  # ours goes on where it was: EpochSampler
    ):
        warnings.filterwarnings("ignore", message)


def write_curves(path: Path, rows: list[dict[str, float | None]]) -> None:
    """Write the curves as CSV; a cell is empty where no captions were generated."""
    with replaced(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, CURVES, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
