"""Train the bidirectional captioner (AKG-sv) on the graphs and captions of the training split.

Besides graphs the captioner reads whatever the stage is given: knowledge, objects, motion of pairs of nodes, or none of
these.

The stage runs as one process, or as several under `pipeline.jobs.ranks`. The next call with equal settings, code and
inputs continues one that was interrupted.
"""

import logging
from pathlib import Path

import torch

from pipeline.artifact import file_digest, read_json
from pipeline.artifact.vocabulary_file import read_vocabulary
from pipeline.captioning.batches import EpochPlan, captioned
from pipeline.captioning.captioner import Captioner
from pipeline.captioning.graph_set import load_graphs
from pipeline.captioning.model_file import describe_model
from pipeline.captioning.training import CURVES, CaptionData, CaptionerTraining, kept_by
from pipeline.config import CaptionerModelSettings, NodesSettings, TrainingSettings
from pipeline.jobs.rank_group import num_ranks
from pipeline.jobs.training_run import training_run
from pipeline.models.action_graph import ActionGraph
from pipeline.scoring.coco import cider_can_tell
from pipeline.training.curves import write_curves
from pipeline.training.loop import train
from pipeline.vocabulary import Vocabulary
from pipeline.weights.saving import save_weights
from pipeline.workflow.code_digest import digest as code_digest

BLIND = (
    "all validation videos have the same references, or there is only one: CIDEr is then 0 whatever is said, and the "
    "validation loss chooses the weights"
)

log = logging.getLogger(__name__)


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

    Where epochs have the same CIDEr, as all have if there is a single validation video, the validation loss chooses.

    Args:
        graphs: Graphs of the data set, of all its shards.
        pair_motion: Motion of pairs of nodes, of all shards; nothing where edges carry the motion of whole frames.
        knowledge: Knowledge rows of the videos, of all shards; nothing where the experiment has no knowledge.
        objects: Object nodes besides the graph, of all shards; nothing where the experiment has none.
        captions: The data set's captions.json: captions and splits.
        vocabulary: The vocabulary that build_vocabulary made (JSON).
        checkpoints: Folder for checkpoints and TensorBoard logs; a killed run continues from there.
        out: Where the trained model goes (safetensors).
        curves: Where losses and validation scores of each epoch go (CSV), with `kept_by` in the row of the epoch whose
            weights were kept: the column that chose it.
        model: Sizes of the model.
        training: How the model is trained.
        nodes: What the nodes of the graphs are; it tells the largest number of nodes that a frame can have.
        seed: Seed of initial weights, order, pairing and dropout.
        threads: CPU threads of a process.

    Raises:
        PipelineError: The training or the validation split has no video with both a graph and a caption.
    """
    torch.set_num_threads(threads)
    known = load_graphs(graphs, pair_motion, knowledge, objects)
    dataset = read_json(captions, ["captions", "splits"], "index_captions")
    words = read_vocabulary(vocabulary)
    plan = EpochPlan(
        captioned(known, dataset, "train", words, captions, "a graph"),
        training.batch_size,
        training.accumulate,
        training.captions_per_video,
        training.reverse_pairing,
        seed,
        num_ranks(),
    )
    plan.check()
    data = CaptionData(known, plan, captioned(known, dataset, "val", words, captions, "a graph"))
    provenance = {
        "settings": [settings.model_dump(mode="json") for settings in (model, training)],
        "places": nodes.max_nodes,  # the older name of this number is kept: the run's folder is a hash of these words
        "seed": seed,
        "code": code_digest("train_captioner"),
        "inputs": [file_digest(path) for path in (*graphs, *pair_motion, *knowledge, *objects, captions, vocabulary)],
    }
    with training_run(checkpoints, provenance, [out, curves]) as run:
        if run.is_finished:
            return
        captioner, description = new_captioner(model, known[plan.videos.ids[0]], nodes.max_nodes, words, seed)
        task = CaptionerTraining(captioner, words, data, dataset["captions"], training, seed, run.ranks)
        if run.ranks.is_first and not cider_can_tell(task.references):
            log.warning("%s", BLIND)
        trained = train(task, run)
        if run.ranks.is_first:
            chosen = kept_by(trained.records, trained.kept_epoch)
            write_curves(curves, trained, "train_captioner", CURVES, chosen, ".6f")
            save_weights(task.module.state_dict(), out, description)


def new_captioner(
    model: CaptionerModelSettings, first: ActionGraph, max_nodes: int, vocabulary: Vocabulary, seed: int
) -> tuple[Captioner, dict[str, str]]:
    """Make a captioner with fresh weights, as wide as the graphs are.

    Args:
        model: Sizes of the model.
        first: Any graph of the data set, for the widths of its features.
        max_nodes: The largest number of nodes that a frame can have.
        vocabulary: The words that it can generate.
        seed: Seed of the weights.

    Returns:
        The captioner, and the metadata of its file.
    """
    dims = {
        "node_dim": first.x.shape[1],
        "motion_dim": (first.pair_motion if "pair_motion" in first else first.motion).shape[1],
        "knowledge_dim": first.knowledge.shape[1] if "knowledge" in first else 0,
        "object_dim": first.objects.shape[1] if "objects" in first else 0,
        "max_nodes": max_nodes,
    }
    torch.manual_seed(seed)
    return Captioner(model, len(vocabulary), **dims), describe_model(model, vocabulary, **dims)
