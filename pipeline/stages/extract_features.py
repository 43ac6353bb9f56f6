"""Store what the heads of a trained recognizer see of each clip, so that other heads can be trained in minutes.

Shapes: T steps in time, D features.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.artifact import create
from pipeline.artifact.clip_store import ClipStore
from pipeline.artifact.each_video import Outcomes, as_features, videos_together
from pipeline.config import ViewSettings
from pipeline.recognition.trained import read_trained
from pipeline.recognition.vectors import Vectors
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
    store = ClipStore([clips])
    vectors = Vectors(store, read_trained(model, experts), settings)

    def extracted(ids: Sequence[str]) -> Outcomes:
        first = computed.index(ids[0]) if ids else len(computed)
        yield from as_features(({}, x_TD) for x_TD in vectors.read(computed, first))

    computed = store.ids
    inputs = {"clips": clips, "model": model} | dict(zip(("spatial", "temporal"), experts, strict=False))
    ids = [*store.ids, *store.failed]
    with create(out, FEATURES, ids=ids, stage="extract_features", settings=vectors.view, inputs=inputs) as writer:
        videos_together(writer, store.failed, extracted)
