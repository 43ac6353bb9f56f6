"""Store what the heads of a trained recognizer see of each clip, so that other heads can be trained in minutes.

Shapes: B clips, T steps in time, D features.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.artifact import create
from pipeline.artifact.clip_store import ClipStore
from pipeline.artifact.each_video import Outcomes, as_features, videos_together
from pipeline.config import ViewSettings
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.recognition.batches import made_ahead
from pipeline.recognition.block_sharing import blocks_of
from pipeline.recognition.channel_order import channels_last
from pipeline.recognition.clip_views import protocol_of
from pipeline.recognition.scored_views import ViewReader
from pipeline.recognition.trained import read_trained
from pipeline.schemas import FEATURES


def run(*, clips: Path, model: Path, experts: list[Path], out: Path, settings: ViewSettings, threads: int) -> None:
    """Store the features of one view of every clip of a shard: its first sample in time, in the centre.

    Args:
        clips: Frames of the shard's clips.
        model: A trained recognizer (safetensors).
        experts: The files of the spatial and the temporal expert of a cast recognizer; nothing for others.
        out: The store to write (schema `features`).
        settings: The views of a clip, for the size of their squares.
        threads: CPU threads of the recognizer.

    Raises:
        PipelineError: The model is no recognizer of frames.
    """
    torch.set_num_threads(threads)
    store, trained = ClipStore([clips]), read_trained(model, experts)
    device = compute_device()
    dtype = announced_dtype(trained.settings.training.precision, device, "the recognizer")
    channels_last(trained.model.to(device))
    view = settings.model_copy(update={"temporal": 1, "spatial": 1})
    reader = ViewReader(store, trained.settings.frames, view, trained.colours, protocol_of(trained.settings.kind))

    @torch.inference_mode()
    def extracted(ids: Sequence[str]) -> Outcomes:
        first = computed.index(ids[0]) if ids else len(computed)
        blocks = blocks_of(computed, settings.batch_size)[first // settings.batch_size :]
        skipped = first % settings.batch_size
        for x in made_ahead(reader.read, blocks, 1):
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                x_BTD = trained.model.features(x[:, 0].to(device)).float().cpu()
            yield from as_features(({}, own.numpy()) for own in x_BTD[skipped:])
            skipped = 0

    computed = store.ids
    inputs = {"clips": clips, "model": model} | dict(zip(("spatial", "temporal"), experts, strict=False))
    ids = [*store.ids, *store.failed]
    with create(out, FEATURES, ids=ids, stage="extract_features", settings=view, inputs=inputs) as writer:
        videos_together(writer, store.failed, extracted)
