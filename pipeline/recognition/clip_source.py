"""The clips that a recognizer learns from: frames of the stores, augmented, or features that a recognizer has stored.

A clip of grey frames is given three equal colours where the network takes three.

Shapes: T frames or steps in time, C channels, S side of a square, H height, W width, D features.
"""

import math
import typing
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.artifact import read
from pipeline.artifact.all_shards import AllShards, hold_smallest
from pipeline.config import ClipAugmentationSettings, ClipSamplingSettings
from pipeline.errors import PipelineError
from pipeline.recognition.augmentation import Pixels, augment
from pipeline.recognition.batches import Seen
from pipeline.recognition.clip_views import Protocol, spatial_views, training_frames, validation_frames
from pipeline.recognition.sampling import Frames
from pipeline.schemas import FEATURES

HELD_BYTES = 640 * 2**20  # clips that take no more when they are decoded are held in memory


class Clips(typing.Protocol):
    """Clips whose frames can be read in any order, such as a `ClipStore`."""

    def num_frames(self, clip_id: str) -> int:
        """Number of frames of a clip."""

    def size(self, clip_id: str) -> tuple[int, int]:
        """Height and width of its frames."""

    def read(self, clip_id: str, numbers: Frames) -> Pixels:
        """Some of its frames, `[T, H, W, C]`."""


class FrameSource:
    """Clips of frames.

    Args:
        clips: Where frames are read.
        frames: Which frames of a clip the network sees.
        augmentation: How they are altered in training.
        short_side: Short side of frames before the central square of validation is cut; None for whole frames.
        colours: Channels that the network takes, C.
        protocol: Whose validation it is; `protocol_of` tells it by the recognizer's kind.
    """

    def __init__(
        self,
        clips: Clips,
        frames: ClipSamplingSettings,
        augmentation: ClipAugmentationSettings,
        short_side: int | None,
        colours: int,
        protocol: Protocol = "tsm",
    ) -> None:
        self.clips = clips
        self.frames = frames
        self.augmentation = augmentation
        self.short_side = short_side
        self.colours = colours
        self.protocol: Protocol = protocol
        self.holds = False
        self._held: dict[str, Pixels] = {}

    def hold(self, ids: Sequence[str]) -> None:
        """Keep all clips that will be asked for in memory once they have been decoded, if they fit.

        Raises:
            PipelineError: if the network takes grey frames, and those of the clips have colours.
        """
        clips = self.clips
        stored = with_colours(clips.read(ids[0], np.zeros(1, np.int64)), self.colours).shape[-1]
        self.holds = sum(clips.num_frames(i) * stored * math.prod(clips.size(i)) for i in ids) <= HELD_BYTES

    def training_clip(self, clip_id: str, rng: np.random.Generator, _: int) -> Seen:
        """A clip with what is random in it: bytes `[T, C, S, S]`."""
        numbers = training_frames(self.frames, self.clips.num_frames(clip_id), rng)
        return Seen(*augment(self._read(clip_id, numbers), self.augmentation, rng))

    def validation_clip(self, clip_id: str) -> Tensor:
        """The central square of a clip, bytes `[T, C, S, S]`, of the side that is trained with."""
        numbers = validation_frames(self.frames, self.clips.num_frames(clip_id), self.protocol)
        return spatial_views(self._read(clip_id, numbers), self.short_side, self.augmentation.size, 1)[0]

    def _read(self, clip_id: str, numbers: Frames) -> Pixels:
        if not self.holds:
            return with_colours(self.clips.read(clip_id, numbers), self.colours)
        if clip_id not in self._held:
            everything = np.arange(self.clips.num_frames(clip_id))
            self._held[clip_id] = with_colours(self.clips.read(clip_id, everything), self.colours)
        held = self._held[clip_id]
        return held if np.array_equal(numbers, np.arange(len(held))) else held[numbers]


def with_colours(pixels_THWC: Pixels, colours: int) -> Pixels:
    """Frames with the channels that a network takes: grey ones have three equal colours where it takes three.

    Raises:
        PipelineError: if it takes grey frames, and these have colours.
    """
    stored = pixels_THWC.shape[-1]
    if stored > colours:
        raise PipelineError(
            f"backbone: colours: {colours}, but the stored frames have {stored}: write colours: {stored}, or name a "
            "data set of grey frames"
        )
    return pixels_THWC if stored == colours else np.repeat(pixels_THWC, colours, -1)


class FeatureSource:
    """Clips of features.

    Args:
        paths: The features of a data set's clips, of all its shards.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.features = AllShards([read(path, FEATURES) for path in paths], ["x"])

    def hold(self, _: Sequence[str]) -> None:
        """Keep all features in memory, if they fit."""
        hold_smallest([self.features], HELD_BYTES)

    def training_clip(self, clip_id: str, _: np.random.Generator, __: int) -> Seen:
        """The features of a clip, `[T, D]`: nothing in them is random."""
        return Seen(self.validation_clip(clip_id), False)

    def validation_clip(self, clip_id: str) -> Tensor:
        """The features of a clip, `[T, D]`."""
        return torch.from_numpy(self.features.video(clip_id)["x"].astype(np.float32))

    def read(self, ids: Sequence[str]) -> Tensor:
        """The features of some clips, each as its one view: `[B, 1, T, D]`."""
        return torch.stack([self.validation_clip(clip_id) for clip_id in ids])[:, None]
