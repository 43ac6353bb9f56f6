"""Train the bidirectional captioner (AKG-sv) on the graphs and captions of the training split.

What else it reads besides graphs is what it is given: knowledge, objects, motion of pairs of nodes, or none of these.

Runs as one process, or as several under torchrun. Checkpoints go to a folder that no rule declares, because Snakemake
deletes declared outputs before it tries again: a second call with equal settings, code and inputs continues after the
last whole epoch, or after the step before which SIGTERM came.
"""

import csv
import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from pipeline.artifact import file_digest, read_json
from pipeline.captioning.batches import CaptionedVideos, EpochPlan
from pipeline.captioning.captioner import Captioner
from pipeline.captioning.graph_set import load_graphs
from pipeline.captioning.lightning_trainer import fit
from pipeline.captioning.model_file import describe_model
from pipeline.captioning.training import CURVES, CaptionData, CaptionerTraining
from pipeline.captioning.vocabulary_file import read_vocabulary
from pipeline.config import CaptionerModelSettings, NodesSettings, TrainingSettings
from pipeline.errors import PipelineError
from pipeline.jobs import preemption
from pipeline.jobs.finished_training import is_finished, keep, put_back
from pipeline.jobs.storage import replaced, sole_writer
from pipeline.jobs.training_run import LAST, run_folder
from pipeline.vocabulary import Vocabulary
from pipeline.workflow.code_digest import digest as code_digest


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
        "places": nodes.max_nodes,  # its older name, which checkpoints of unfinished runs are found by
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
        task = new_training(model, training, nodes.max_nodes, words, data, dataset["captions"], seed, folder)
        with preemption.deferring_sigterm():
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
    max_nodes: int,
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
        "max_nodes": max_nodes,
    }
    torch.manual_seed(seed)
    captioner = Captioner(model, len(vocabulary), **dims)
    description = describe_model(model, vocabulary, **dims)
    best = folder / "best.safetensors"
    return CaptionerTraining(captioner, vocabulary, data, captions, training, seed, best, description)


def write_curves(path: Path, rows: list[dict[str, float | None]]) -> None:
    """Write the curves as CSV; a cell is empty where no captions were generated."""
    with replaced(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, CURVES, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
