"""What the heads of a trained recognizer see of clips: of one view, the first sample in time, in the centre.

Shapes: B clips, T steps in time, D features.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.artifact.clip_store import ClipStore
from pipeline.config import ViewSettings
from pipeline.models.bf16_lstms import require_computable
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.recognition.batches import made_ahead
from pipeline.recognition.block_sharing import blocks_of
from pipeline.recognition.channel_order import channels_last
from pipeline.recognition.clip_views import protocol_of
from pipeline.recognition.scored_views import ViewReader
from pipeline.recognition.trained import Trained


class Vectors:
    """Computes features of stored clips.

    Args:
        store: The clips.
        trained: The recognizer, which is moved to the device that it computes on.
        settings: The views that are scored, for the size of their squares and the number that is computed at once.

    Attributes:
        view: The view that is shown.

    Raises:
        PipelineError: if this CPU cannot compute the recognizer as it was trained.
    """

    def __init__(self, store: ClipStore, trained: Trained, settings: ViewSettings) -> None:
        self.view = settings.model_copy(update={"temporal": 1, "spatial": 1})
        self.device = compute_device()
        self.dtype = announced_dtype(trained.settings.training.precision, self.device, "the recognizer")
        require_computable(trained.model, self.device, self.dtype)
        self.model = trained.model
        channels_last(self.model.to(self.device))
        protocol = protocol_of(trained.settings.kind)
        self.reader = ViewReader(store, trained.settings.frames, self.view, trained.colours, protocol)

    def read(self, ids: Sequence[str], first: int = 0) -> Iterator[NDArray[np.float32]]:
        """Give the features `[T, D]` of each clip from number `first` on.

        Args:
            ids: The clips; those that are computed at once depend on all of them, so that a run that goes on from
                `first` gives the same bits.
            first: How many clips are left out.
        """
        size = self.view.batch_size
        skipped = first % size
        for x in made_ahead(self.reader.read, blocks_of(ids, size)[first // size :], 1):
            with (
                torch.inference_mode(),
                torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32),
            ):
                x_BTD = self.model.features(x[:, 0].to(self.device)).float().cpu()
            yield from x_BTD[skipped:].numpy()
            skipped = 0
