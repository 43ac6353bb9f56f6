"""Pre-train VideoMAE's encoder on the training clips of a data set, by telling what is hidden of them.

The recipe is that of Tong et al., NeurIPS 2022: tubes of places are hidden in all frames, the encoder sees the others,
and a decoder that is not kept tells the hidden pixels, normalised tubelet by tubelet. No label is read.

The stage runs as one process, or as several under `pipeline.jobs.ranks`. The next call with equal settings, code and
inputs continues one that was interrupted.
"""

import logging
from pathlib import Path
from typing import Any

import torch

from pipeline.artifact import file_digest, read_json, write_json
from pipeline.artifact.clip_store import ClipStore
from pipeline.config import ClipAugmentationSettings, ClipSamplingSettings, PretrainSettings, VideoMaeSettings
from pipeline.errors import PipelineError
from pipeline.jobs.rank_group import num_ranks
from pipeline.jobs.storage import replaced
from pipeline.jobs.training_run import training_run
from pipeline.recognition.batches import EpochPlan, Piece
from pipeline.recognition.clip_source import FrameSource
from pipeline.recognition.pretraining.autoencoder import MaskedAutoencoder
from pipeline.recognition.pretraining.masks import hidden_places
from pipeline.recognition.pretraining.pictures import draw, reconstruct
from pipeline.recognition.pretraining.training import MaskedClips, MaskedTraining
from pipeline.recognition.towers.temporal import TemporalTower
from pipeline.recognition.towers.temporal_weights import save_temporal, start_tower
from pipeline.training.loop import Trained, train
from pipeline.weights.fetching import locate_weights
from pipeline.weights.origin import after_training
from pipeline.workflow.code_digest import digest as code_digest

SHOWN = 4  # clips in the picture

log = logging.getLogger(__name__)


def run(
    *,
    clips: list[Path],
    labels: list[Path],
    captions: list[Path],
    checkpoints: Path,
    out: Path,
    pretraining: Path,
    reconstructions: Path,
    settings: VideoMaeSettings,
    threads: int,
) -> None:
    """Pre-train the encoder, and keep that of the last epoch.

    Args:
        clips: Frames of the data set's clips, of all its shards.
        labels: The data set's labels.json, as a list of one, whose splits are read; nothing if it has no labels.
        captions: The captions.json of a data set without labels, as a list of one; nothing for others.
        checkpoints: Folder for checkpoints and TensorBoard logs; a killed run continues from there.
        out: Where `weights.safetensors` goes: the encoder, without the decoder and the last norm.
        pretraining: Where the losses of each epoch go (JSON).
        reconstructions: Where the picture goes of validation clips, or of training clips where there are none: as they
            are, what the encoder sees, and what was told (PNG).
        settings: Starting weights, sizes and training.
        threads: CPU threads of a process.

    Raises:
        PipelineError: No training clip has frames, the mask hides nothing or everything, the weights cannot be used, or
            the encoder has `pretrain: null`.
    """
    torch.set_num_threads(threads)
    pretrain = settings.pretrain
    if pretrain is None:
        raise PipelineError("this encoder has `pretrain: null`; import_weights brings its weights")
    store = ClipStore(clips)
    (table,) = (*labels, *captions)
    ids = usable_ids(table, "index_labels" if labels else "index_captions", store)
    tower, origin = start_tower(locate_weights(settings.weights), settings.arch, settings.seed)
    check_mask(tower, pretrain)
    data = gather(ids, store, settings, pretrain, threads)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(pretrain.seed)
        module = MaskedAutoencoder(tower, pretrain.decoder)
    provenance = {
        "settings": settings.model_dump(mode="json"),
        "origin": origin,
        "code": code_digest("pretrain_videomae"),
        "inputs": [file_digest(path) for path in (*clips, table)],
    }
    with training_run(checkpoints, provenance, [out, pretraining, reconstructions]) as run:
        if run.is_finished:
            return
        task = MaskedTraining(module, data, settings, run.ranks)
        trained = train(task, run)
        if run.ranks.is_first:
            save_temporal(tower, out, settings.arch, after_training("pre-trained", pretrain.dataset, origin))
            shown = draw_reconstructions(task, data, reconstructions)
            write_json(pretraining, pretraining_report(trained, origin, ids, shown, pretrain))


def usable_ids(table: Path, stage: str, store: ClipStore) -> dict[str, list[str]]:
    """Ids of the training and validation clips that have frames, in the order of the split.

    Args:
        table: The file that holds the splits.
        stage: The stage that makes it.
        store: The frames.

    Raises:
        PipelineError: if there is no training clip.
    """
    splits = read_json(table, ["splits"], stage)["splits"]
    ids = {name: [clip_id for clip_id in splits[name] if clip_id in store] for name in ("train", "val")}
    if not ids["train"]:
        raise PipelineError(
            f"{table}: none of the {len(splits['train'])} training clips has frames, and pre-training needs some; "
            "check the splits and the clips that failed"
        )
    lost = len(splits["train"]) - len(ids["train"])
    if lost:
        log.info("pretrain_videomae: %d of %d training clips have failed and are left out", lost, len(splits["train"]))
    return ids


def check_mask(tower: TemporalTower, pretrain: PretrainSettings) -> None:
    """Raise PipelineError if the mask would hide nothing, or everything."""
    places = tower.grid[0] * tower.grid[1]
    hidden = hidden_places(places, pretrain.masked)
    if not 0 < hidden < places:
        raise PipelineError(
            f"pretrain: masked: {pretrain.masked} hides {hidden} of the {places} places of a frame of "
            f"{tower.grid[0]} x {tower.grid[1]} patches: some must be hidden and some seen; alter it, or `patch_size`"
        )


def gather(
    ids: dict[str, list[str]], store: ClipStore, settings: VideoMaeSettings, pretrain: PretrainSettings, threads: int
) -> MaskedClips:
    """Gather the clips of a pre-training, seen as its settings say.

    Raises:
        PipelineError: if some piece of a step would have no clip.
    """
    arch = settings.arch
    frames = ClipSamplingSettings(sampling="dense", number=arch.frames, stride=pretrain.stride)
    augmentation = ClipAugmentationSettings(
        size=arch.image_size,
        crop=pretrain.crop,
        flip="keep_labels" if pretrain.flip else "none",
        brightness=0.0,
        rand_augment=None,
        mixup=None,
    )
    source = FrameSource(store, frames, augmentation, None if pretrain.crop == "whole" else arch.image_size, 3)
    plan = EpochPlan(len(ids["train"]), pretrain.batch_size, pretrain.accumulate, None, pretrain.seed, num_ranks())
    plan.check()
    source.hold([*ids["train"], *ids["val"]])
    steps, places = arch.frames // arch.tubelet, (arch.image_size // arch.patch_size) ** 2
    at_once = threads if torch.cuda.is_available() else 1
    return MaskedClips(ids["train"], ids["val"], source, plan, steps, places, pretrain.masked, at_once)


def draw_reconstructions(task: MaskedTraining, data: MaskedClips, path: Path) -> list[str]:
    """Draw what is told of some validation clips, or of training clips if there are none; returns their ids."""
    epoch, ids = (None, data.val) if data.val else (0, data.train)
    numbers = list(range(min(SHOWN, len(ids))))
    picture = draw(reconstruct(task, data.batch(Piece(epoch, numbers, len(numbers)))))
    with replaced(path) as new:
        picture.save(new, "PNG", optimize=True)
    return [ids[number] for number in numbers]


def pretraining_report(
    trained: Trained, origin: str, ids: dict[str, list[str]], shown: list[str], pretrain: PretrainSettings
) -> dict[str, Any]:
    """Make the content of pretraining.json.

    Args:
        trained: The epochs.
        origin: Origin of the starting weights.
        ids: Ids of the training (`train`) and validation (`val`) clips.
        shown: Ids of the clips in the picture.
        pretrain: How the encoder was pre-trained.
    """
    return {
        "kind": "pretraining",
        "origin": origin,
        "settings": pretrain.model_dump(mode="json"),
        "epochs": trained.records,
        "num_clips": {name: len(ids[name]) for name in ids},
        "shown": shown,
        "train_ids": ids["train"],
    }
