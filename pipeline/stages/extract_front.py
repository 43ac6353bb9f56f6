"""Store what CAST's frozen experts make of clips before the first block with anything trained in it.

With `first_block` near the end most of a training step is spent before it. A few views of each clip are therefore
stored, and `train_recognizer` goes on from them (`stored_views`).

Shapes: V views of a clip, F frames, C channels, H height and W width of a view, M tokens of both streams, D width of
the experts.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.artifact import create
from pipeline.artifact.clip_store import ClipStore
from pipeline.artifact.each_video import Outcomes, VideoRows, fits_half, videos_together
from pipeline.config import FrontSettings
from pipeline.errors import PipelineError, VideoError
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.recognition.batches import Seen, made_ahead
from pipeline.recognition.cast_body import CastBody
from pipeline.recognition.cast_recognizer import COLOURS, PIXELS, read_experts
from pipeline.recognition.clip_source import FrameSource
from pipeline.recognition.fronts import packed, training_views
from pipeline.recognition.labels import read_labels
from pipeline.recognition.pixels import Pixels
from pipeline.schemas import FRONTS


def run(
    *,
    clips: Path,
    labels: Path,
    experts: list[Path],
    out: Path,
    settings: FrontSettings,
    threads: int,
) -> None:
    """Store the views of the training clips and the one view of the validation clips of a shard.

    Args:
        clips: Frames of the shard's clips.
        labels: The data set's labels.json: splits. Other splits than training and validation have no views.
        experts: The files of the spatial and the temporal expert.
        out: The store to write (schema `fronts`); a clip that has no frames is a failed video in it.
        settings: Which tokens are stored, the frames that are seen, and how they are altered.
        threads: CPU threads of the experts.

    Raises:
        PipelineError: An expert cannot be read, the two are not alike, or they take other frames.
    """
    torch.set_num_threads(threads)
    store, known = ClipStore([clips]), read_labels(labels)
    train, val = set(known.split("train")), set(known.split("val"))
    ids = [clip_id for clip_id in [*store.ids, *store.failed] if clip_id in train | val]
    failed = {clip_id: reason for clip_id, reason in store.failed.items() if clip_id in train | val}
    front = Front(settings, experts)
    source = FrameSource(store, settings.frames, settings.augmentation, settings.short_side, COLOURS, "cast")

    def seen(clip_id: str) -> list[Seen]:
        if clip_id in train:
            return training_views(source, clip_id, settings.stored_views)
        return [Seen(source.validation_clip(clip_id), False)]

    def computed(remaining: Sequence[str]) -> Outcomes:
        for shown in made_ahead(seen, remaining, 1):
            yield front.rows(shown)

    inputs = {"clips": clips, "labels": labels, "spatial": experts[0], "temporal": experts[1]}
    with create(out, FRONTS, ids=ids, stage="extract_front", settings=settings, inputs=inputs) as writer:
        videos_together(writer, failed, computed)


class Front:
    """Computes the tokens of the views of a clip, all at once.

    Args:
        settings: Which tokens.
        experts: The files of the spatial and the temporal expert.

    Raises:
        PipelineError: if they have fewer blocks than the settings say.
    """

    def __init__(self, settings: FrontSettings, experts: Sequence[Path]) -> None:
        spatial, temporal = experts
        self.device = compute_device()
        self.dtype = announced_dtype(settings.precision, self.device, "the experts")
        self.body: CastBody = read_experts(spatial, temporal).body.to(self.device)
        self.pixels = Pixels(PIXELS, COLOURS).to(self.device)
        self.num_blocks = settings.first_block - 1
        self.streams = settings.streams
        if settings.first_block > self.body.depth:
            raise PipelineError(
                f"first_block: {settings.first_block} is beyond the {self.body.depth} blocks of the experts"
            )

    @torch.inference_mode()
    def rows(self, shown: Sequence[Seen]) -> VideoRows | VideoError:
        """The rows of a clip in the store.

        Args:
            shown: Its views, bytes `[F, C, H, W]` each.
        """
        x = torch.stack([one.x for one in shown]).to(self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            tokens = self.body.front(self.pixels(x).transpose(1, 2), self.streams, self.num_blocks)
        token_VMD = packed(tokens, self.body.steps).float().cpu().numpy()
        if not fits_half(token_VMD):
            return VideoError("the experts gave numbers that are not finite or beyond half precision")
        mirrored_V = np.array([one.is_mirrored for one in shown], np.uint8)
        return VideoRows({"token": token_VMD.reshape(-1, token_VMD.shape[-1]), "mirrored": mirrored_V})
