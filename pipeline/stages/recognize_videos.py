"""Recognize the clips of a split: logits of every view of each clip, from which scores are made.

The stage runs as one process, or as several under `pipeline.jobs.ranks`, and commits clip by clip.
"""

from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import torch

from pipeline.artifact import create
from pipeline.artifact.clip_store import ClipStore
from pipeline.artifact.each_video import Outcomes, videos_together
from pipeline.config import ViewSettings
from pipeline.jobs.rank_group import Ranks, joined_ranks
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.recognition.backbones.choice import colours_of
from pipeline.recognition.block_sharing import blocks_of, found_in_turn, help_first
from pipeline.recognition.labels import read_labels, require_same_classes
from pipeline.recognition.model_file import read_recognizer
from pipeline.recognition.scored_views import ViewReader, ViewScorer
from pipeline.schemas import LOGITS


def run(
    *, clips: list[Path], labels: Path, model: Path, out: Path, split: str, settings: ViewSettings, threads: int
) -> None:
    """Compute the logits of all views of every clip of a split.

    Args:
        clips: Frames of the data set's clips, of all its shards.
        labels: The data set's labels.json: classes and splits.
        model: A trained recognizer (safetensors).
        out: The store to write (schema `logits`); a clip that has no frames is a failed video in it.
        split: The split whose clips are recognized: train, val or test.
        settings: The views of a clip.
        threads: CPU threads of a process.

    Raises:
        PipelineError: The model was trained with other classes, or in another order.
    """
    torch.set_num_threads(threads)
    store = ClipStore(clips)
    known = read_labels(labels)
    trained = read_recognizer(model)
    require_same_classes(trained.heads, known, model)
    ids = known.split(split)
    failed = {i: store.failed.get(i, "not in clips") for i in ids if i not in store}
    with joined_ranks() as ranks:
        device = compute_device()
        dtype = announced_dtype(trained.settings.training.precision, device, "the recognizer")
        scorer = ViewScorer(trained.model.to(device), settings, dtype)
        reader = ViewReader(store, trained.settings.frames, settings, colours_of(trained.settings.backbone))
        size = max(1, settings.batch_size // (settings.temporal * settings.spatial))
        there = [clip_id for clip_id in ids if clip_id not in failed]
        if not ranks.is_first:
            help_first(_left(there, size, ranks.from_first(None)), reader.read, scorer.score, ranks)
            return
        inputs = {"model": model, "labels": labels} | {f"clips_{number}": path for number, path in enumerate(clips)}
        with create(out, LOGITS, ids=ids, stage="recognize_videos", settings=settings, inputs=inputs) as writer:
            write = _Shared(there, size, reader, scorer, ranks)
            videos_together(writer, failed, write)


class _Shared:
    """Computes the remaining clips of the store, with the other ranks.

    Args:
        ids: All clips that can be computed.
        size: Clips of a block.
        reader: Reads them.
        scorer: Computes their rows.
        ranks: The processes that share the work.
    """

    def __init__(self, ids: list[str], size: int, reader: ViewReader, scorer: ViewScorer, ranks: Ranks) -> None:
        self.ids = ids
        self.size = size
        self.reader = reader
        self.scorer = scorer
        self.ranks = ranks

    def __call__(self, remaining: Sequence[str]) -> Outcomes:
        num_done = self.ranks.from_first(len(self.ids) - len(remaining))
        blocks = _left(self.ids, self.size, num_done)
        with closing(found_in_turn(blocks, self.reader.read, self.scorer.score, self.ranks)) as found:
            yield from islice(found, num_done % self.size, None)


def _left(ids: list[str], size: int, num_done: int) -> list[list[str]]:
    """The blocks that hold the clips after the first `num_done`."""
    return blocks_of(ids, size)[num_done // size :]
