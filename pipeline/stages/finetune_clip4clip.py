"""Fine-tune CLIP4Clip by text-video retrieval on the training split of a data set.

The recipe is that of Luo et al. 2021 (mean pooling, symmetric loss, warm-up and cosine), on the captioning splits: the
training learns from training videos alone, validation videos choose the epoch, test videos are not used.

The stage runs as one process, or as several under `pipeline.jobs.ranks`. The next call with equal settings, code and
inputs continues one that was interrupted.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from pipeline.artifact import file_digest, read, read_json, write_json
from pipeline.config import Clip4ClipSettings, FinetuneSettings
from pipeline.errors import PipelineError
from pipeline.finetuning.retrieval import VideoFrames
from pipeline.finetuning.retrieval_training import RetrievalTraining, Split, check_shares, index_tokens
from pipeline.jobs.rank_group import num_ranks
from pipeline.jobs.training_run import training_run
from pipeline.models.clip4clip import VOCABULARY, Clip4Clip, load_pretrained, save_clip4clip
from pipeline.schemas import FRAMES
from pipeline.training.loop import Trained, train
from pipeline.weights.fetching import locate_weights
from pipeline.weights.origin import after_training
from pipeline.workflow.code_digest import digest as code_digest


def run(
    *,
    frames: list[Path],
    captions: Path,
    checkpoints: Path,
    out: Path,
    retrieval: Path,
    settings: Clip4ClipSettings,
    threads: int,
) -> None:
    """Fine-tune the towers and keep those of the epoch that retrieves best on the validation split.

    Args:
        frames: Sampled frames (FRAMES) of all shards.
        captions: The data set's captions.json: captions and splits.
        checkpoints: Folder for checkpoints and TensorBoard logs; a killed run continues from there.
        out: Where `weights.safetensors` goes.
        retrieval: Where the losses and retrieval scores of each epoch go (JSON).
        settings: Starting weights, architecture and training.
        threads: CPU threads of a process.

    Raises:
        PipelineError: There are too few videos to train on, the weights cannot be used, or the encoder has
            `finetune: null`.
    """
    torch.set_num_threads(threads)
    tuning = settings.finetune
    if tuning is None:
        raise PipelineError("this encoder has `finetune: null`; import_weights brings its weights")
    table = read_json(captions, ["captions", "splits"], "index_captions")
    artifacts = [read(path, FRAMES) for path in frames]
    present = {video_id for artifact in artifacts for video_id in artifact.ids}
    ids = {name: usable_ids(table, name, present) for name in ("train", "val")}
    check_train_ids(ids["train"], table["splits"])
    if len(ids["train"]) < 2:
        raise PipelineError(
            f"{captions}: {len(ids['train'])} captioned training videos of {tuning.dataset} have frames; "
            "retrieval needs at least 2"
        )
    check_shares(len(ids["train"]), tuning.batch_size, num_ranks())
    module, origin = starting_towers(settings, tuning)
    texts = {name: {video_id: table["captions"][video_id] for video_id in ids[name]} for name in ids}
    tokens, used = index_tokens(texts, tuning.max_words)
    splits = {name: Split(VideoFrames(artifacts, ids[name]), tokens[name]) for name in ids}
    provenance = {
        "settings": settings.model_dump(mode="json"),
        "origin": origin,
        "code": code_digest("finetune_clip4clip"),
        "inputs": [file_digest(path) for path in (*frames, captions)],
    }
    with training_run(checkpoints, provenance, [out, retrieval]) as run, ThreadPoolExecutor(threads) as pool:
        if run.is_finished:
            return
        task = RetrievalTraining(module, used, splits["train"], splits["val"], settings, pool, run.ranks)
        trained = train(task, run)
        if run.ranks.is_first:
            save_clip4clip(task.whole_towers(), out, after_training("fine-tuned", tuning.dataset, origin))
            write_json(retrieval, retrieval_report(trained, origin, ids))


def retrieval_report(trained: Trained, origin: str, ids: dict[str, list[str]]) -> dict[str, Any]:
    """Make the content of retrieval.json.

    Args:
        trained: The epochs, and which of them was kept.
        origin: Origin of the starting weights.
        ids: Ids of the training (`train`) and validation (`val`) videos.
    """
    return {
        "kind": "retrieval",
        "origin": origin,
        "epochs": trained.records,
        "kept_epoch": trained.kept_epoch,
        "best": trained.records[trained.kept_epoch - 1].get("val"),
        "num_videos": {name: len(ids[name]) for name in ids},
        "train_ids": ids["train"],
    }


def starting_towers(settings: Clip4ClipSettings, tuning: FinetuneSettings) -> tuple[Clip4Clip, str]:
    """Load the towers that the training starts with, and their origin.

    Raises:
        PipelineError: The weights cannot be used, or the text tower cannot take CLIP's tokens or `max_words` of them.
    """
    module, origin = load_pretrained(locate_weights(settings.weights), settings.arch, settings.seed, level=logging.INFO)
    if module.vocab_size < VOCABULARY or module.context_length < tuning.max_words:
        raise PipelineError(
            f"arch: the text tower takes {module.context_length} tokens of {module.vocab_size}; `max_words` "
            f"{tuning.max_words} and CLIP's {VOCABULARY} tokens are needed"
        )
    return module, origin


def usable_ids(table: dict[str, Any], split: str, present: set[str]) -> list[str]:
    """List the videos of a split that have frames and at least one caption, in the split's order.

    Args:
        table: Captions and splits of the data set.
        split: Name of the split.
        present: Ids of the videos that have frames.
    """
    return [video_id for video_id in table["splits"][split] if video_id in present and table["captions"].get(video_id)]


def check_train_ids(ids: Sequence[str], splits: dict[str, list[str]]) -> None:
    """Make sure that the training learns from no validation or test video.

    Args:
        ids: Ids of the videos to train on.
        splits: Ids of the videos of each split.

    Raises:
        PipelineError: An id is not of the training split, or is in another split, too.
    """
    foreign = sorted((set(ids) - set(splits["train"])) | (set(ids) & {*splits["val"], *splits["test"]}))
    if foreign:
        raise PipelineError(
            f"captions: {len(foreign)} videos to train on are not of the training split alone, such as {foreign[0]}; "
            "a video must be in one split"
        )
