"""Train the LSTM captioner on the maps and captions of the training split.

The stage runs as one process, or as several under `pipeline.jobs.ranks`. The next call with equal settings, code and
inputs continues one that was interrupted.
"""

import logging
from pathlib import Path

import torch

from pipeline.artifact import file_digest, read_json
from pipeline.artifact.vocabulary_file import read_vocabulary
from pipeline.captioning.batches import EpochPlan, captioned
from pipeline.captioning.lstm_captioner import LstmCaptioner
from pipeline.captioning.lstm_file import describe_lstm
from pipeline.captioning.lstm_training import CURVES, LstmTraining, require_two
from pipeline.captioning.map_set import load_maps
from pipeline.captioning.training import kept_by
from pipeline.config import LstmModelSettings, LstmTrainingSettings
from pipeline.jobs.rank_group import num_ranks
from pipeline.jobs.training_run import training_run
from pipeline.scoring.coco import cider_can_tell
from pipeline.training.curves import write_curves
from pipeline.training.loop import train
from pipeline.weights.saving import save_weights
from pipeline.workflow.code_digest import digest as code_digest

BLIND = (
    "all validation videos have the same references, or there is only one: CIDEr is then 0 whatever is said, and the "
    "validation loss chooses the weights"
)

log = logging.getLogger(__name__)


def run(
    *,
    maps: list[Path],
    captions: Path,
    vocabulary: Path,
    checkpoints: Path,
    out: Path,
    curves: Path,
    model: LstmModelSettings,
    training: LstmTrainingSettings,
    seed: int,
    threads: int,
) -> None:
    """Train a captioner and keep the weights with the best CIDEr on the validation split.

    Where epochs have the same CIDEr, as all have if there is a single validation video, the validation loss chooses.

    Args:
        maps: Maps of the data set, of all its shards.
        captions: The data set's captions.json: captions and splits.
        vocabulary: The vocabulary that build_vocabulary made (JSON).
        checkpoints: Folder for checkpoints and TensorBoard logs; a killed run continues from there.
        out: Where the trained model goes (safetensors).
        curves: Where losses and validation scores of each epoch go (CSV), with `kept_by` in the row of the epoch whose
            weights were kept: the column that chose it.
        model: Widths of the model, and what it attends to.
        training: How the model is trained.
        seed: Seed of initial weights, order, noise and dropout.
        threads: CPU threads of a process.

    Raises:
        PipelineError: The training or the validation split has no video with both maps and a caption, or there are too
            few for the processes that share the work.
    """
    torch.set_num_threads(threads)
    known = load_maps(maps)
    dataset = read_json(captions, ["captions", "splits"], "index_captions")
    words = read_vocabulary(vocabulary)
    plan = EpochPlan(
        captioned(known, dataset, "train", words, captions, "maps"),
        training.batch_size,
        training.accumulate,
        training.captions_per_video,
        "once",  # there is no other direction, whose captions would be drawn
        seed,
        num_ranks(),
    )
    require_two(plan)
    val = captioned(known, dataset, "val", words, captions, "maps")
    provenance = {
        "settings": [settings.model_dump(mode="json") for settings in (model, training)],
        "seed": seed,
        "code": code_digest("train_lstm"),
        "inputs": [file_digest(path) for path in (*maps, captions, vocabulary)],
    }
    with training_run(checkpoints, provenance, [out, curves]) as run:
        if run.is_finished:
            return
        channels = known.shape[3]
        torch.manual_seed(seed)
        captioner = LstmCaptioner(model, len(words), channels)
        task = LstmTraining(captioner, words, known, plan, val, dataset["captions"], training, seed, run.ranks)
        if run.ranks.is_first and not cider_can_tell(task.references):
            log.warning("%s", BLIND)
        trained = train(task, run)
        if run.ranks.is_first:
            chosen = kept_by(trained.records, trained.kept_epoch)
            write_curves(curves, trained, "train_lstm", CURVES, chosen, ".6f")
            save_weights(task.module.state_dict(), out, describe_lstm(model, words, channels))
