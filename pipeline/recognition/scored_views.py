"""Logits of every view of a clip.

Shapes: B clips, V views of a clip, T frames of a view, C channels, S side of a square, K classes of all heads.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.artifact.each_video import Rows, VideoRows
from pipeline.config import ClipSamplingSettings, ViewSettings
from pipeline.errors import VideoError
from pipeline.recognition.clip_source import Clips, with_colours
from pipeline.recognition.clip_views import Protocol, spatial_views, temporal_views, view_numbers

Arrays = Callable[[np.ndarray], Rows]


class ViewReader:
    """Reads the views of clips.

    Args:
        clips: Where frames are read.
        frames: Which frames of a clip a view has.
        views: How many views there are, and which squares of the frames.
        colours: Channels that the network takes, C.
        protocol: Whose views they are; `protocol_of` tells it by the recognizer's kind.
    """

    def __init__(
        self,
        clips: Clips,
        frames: ClipSamplingSettings,
        views: ViewSettings,
        colours: int,
        protocol: Protocol = "tsm",
    ) -> None:
        self.clips = clips
        self.frames = frames
        self.views = views
        self.colours = colours
        self.protocol = protocol

    def read(self, ids: Sequence[str]) -> Tensor:
        """The views of some clips: bytes `[B, V, T, C, S, S]`."""
        return torch.stack([self._read(clip_id) for clip_id in ids])

    def _read(self, clip_id: str) -> Tensor:
        views = self.views
        numbers_VT = temporal_views(self.frames, self.clips.num_frames(clip_id), views.temporal, self.protocol)
        pixels = with_colours(self.clips.read(clip_id, numbers_VT.ravel()), self.colours)
        of_samples = np.split(pixels, views.temporal)
        return torch.cat(
            [spatial_views(one, views.short_side, views.size, views.spatial, self.protocol) for one in of_samples]
        )


class ViewScorer:
    """Computes the logits of views.

    Args:
        model: The recognizer, in evaluation mode on its device.
        views: How many views a clip has, and how many are computed at once.
        dtype: Type of the numbers that the network computes with.
        arrays: Makes the rows of a store of the logits of a clip's views `[V, K]`.
    """

    def __init__(
        self, model: nn.Module, views: ViewSettings, dtype: torch.dtype, arrays: Arrays = lambda x: {"logits": x}
    ) -> None:
        self.model = model
        self.arrays = arrays
        self.batch_size = views.batch_size
        self.device = next(model.parameters()).device
        self.dtype = dtype
        self.temporal, self.spatial = view_numbers(views)

    @torch.inference_mode()
    def score(self, x: Tensor) -> list[VideoRows | VideoError]:
        """The rows of each clip.

        Args:
            x: The views of some clips, bytes `[B, V, T, C, S, S]`.
        """
        parts = []
        for part in torch.split(x.flatten(0, 1), self.batch_size):
            with self._autocast():
                logits = self.model(part.to(self.device, non_blocking=True))
            parts.append(torch.cat([one.float() for one in logits.values()], 1).cpu())
        logits_BVK = torch.cat(parts).reshape(*x.shape[:2], -1).numpy()
        return [self._rows(logits_VK) for logits_VK in logits_BVK]

    def _rows(self, logits_VK: np.ndarray) -> VideoRows | VideoError:
        if not np.isfinite(logits_VK).all():
            return VideoError("the recognizer gave logits that are not finite")
        return VideoRows({**self.arrays(logits_VK), "temporal": self.temporal, "spatial": self.spatial})

    def _autocast(self) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)
