"""Route the clips of a split through TSTL: logits of every view by the selector, and by the expert of each group.

All parts stand over one frozen body, which is in memory once. The stage runs as one process, or as several under
`pipeline.jobs.ranks`, and commits clip by clip.
"""

from functools import partial
from pathlib import Path

import torch

from pipeline.artifact import create
from pipeline.artifact.clip_store import ClipStore
from pipeline.artifact.each_video import videos_together
from pipeline.config import ViewSettings
from pipeline.jobs.rank_group import joined_ranks
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.recognition.block_sharing import SharedBlocks
from pipeline.recognition.cast_recognizer import COLOURS
from pipeline.recognition.channel_order import channels_last
from pipeline.recognition.clip_views import protocol_of
from pipeline.recognition.groups import read_groups
from pipeline.recognition.labels import read_labels, require_same_classes
from pipeline.recognition.parts import Part, labels_of_part
from pipeline.recognition.router import read_router, route_rows
from pipeline.recognition.scored_views import ViewReader, ViewScorer
from pipeline.schemas import ROUTES


def run(
    *,
    clips: list[Path],
    labels: Path,
    groups: Path,
    selector: Path,
    parts: list[Path],
    experts: list[Path],
    out: Path,
    split: str,
    settings: ViewSettings,
    threads: int,
) -> None:
    """Compute the logits of all views of every clip of a split, by all parts.

    Args:
        clips: Frames of the data set's clips, of all its shards.
        labels: The data set's labels.json: classes and splits.
        groups: The groups of the classes.
        selector: The trained selector (safetensors).
        parts: The trained expert of each group (safetensors), in the order of the groups.
        experts: The files of the spatial and the temporal expert that all of these were trained over.
        out: The store to write (schema `routes`); a clip that has no frames is a failed video in it.
        split: The split whose clips are routed: train, val or test.
        settings: The views of a clip.
        threads: CPU threads of a process.

    Raises:
        PipelineError: A part was trained with other classes, groups or experts, or there is not one for each group.
    """
    torch.set_num_threads(threads)
    known = read_labels(labels)
    own = read_groups(groups, known)
    with joined_ranks() as ranks:
        router, first, expert = read_router(selector, parts, experts)
        require_same_classes(first.heads, labels_of_part(known, Part(own, None)), selector)
        require_same_classes(expert.heads, known, parts[0])
        device = compute_device()
        dtype = announced_dtype(first.settings.training.precision, device, "the router")
        arrays = partial(route_rows, num_groups=len(own.names))
        scorer = ViewScorer(channels_last(router.to(device)), settings, dtype, arrays)
        store = ClipStore(clips)
        reader = ViewReader(store, first.settings.frames, settings, COLOURS, protocol_of("cast"))
        ids, there = known.split(split), set(store.ids)
        failed = {clip_id: store.failed.get(clip_id, "not in clips") for clip_id in ids if clip_id not in there}
        size = max(1, settings.batch_size // (settings.temporal * settings.spatial))
        todo = [clip_id for clip_id in ids if clip_id not in failed]
        shared = SharedBlocks(todo, size, reader.read, scorer.score, ranks)
        if not ranks.is_first:
            shared.help()
            return
        inputs = {"selector": selector, "labels": labels, "groups": groups}
        inputs |= {f"clips_{number}": path for number, path in enumerate(clips)}
        inputs |= {f"part_{number}": path for number, path in enumerate(parts)}
        inputs |= {f"expert_{number}": path for number, path in enumerate(experts)}
        with create(out, ROUTES, ids=ids, stage="route_clips", settings=settings, inputs=inputs) as writer:
            videos_together(writer, failed, shared)
