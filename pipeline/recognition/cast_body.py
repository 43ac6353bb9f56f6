"""The frozen body of CAST: its two experts, which may be shared by several networks.

Shapes: B clips, F frames, H height, W width, T time steps, P places of a frame, L tokens of a frame (the class token,
then its places), N tokens of a clip (T times P), D width.
"""

from collections.abc import Collection
from typing import Self

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.recognition.cast_plan import Stream
from pipeline.recognition.towers.spatial import SpatialTower
from pipeline.recognition.towers.temporal import TemporalTower

Tokens = dict[Stream, Tensor]  # spatial ones `[B * T, L, D]`, temporal ones `[B, N, D]`


class CastBody(nn.Module):
    """Both experts, of which nothing is trained, and which have no mode of training.

    Args:
        spatial: The expert of single frames.
        temporal: The expert of clips.

    Raises:
        PipelineError: if their tokens do not match: another width, depth, number of heads, or grid.
    """

    def __init__(self, spatial: SpatialTower, temporal: TemporalTower) -> None:
        super().__init__()
        differ = [
            f"{name} {_of(spatial, name)} and {_of(temporal, name)}"
            for name in ("width", "depth", "heads", "grid", "image_size")
            if getattr(spatial, name) != getattr(temporal, name)
        ]
        if differ:
            raise PipelineError(
                f"the experts of a cast recognizer must be alike, and the spatial and the temporal one have "
                f"{', '.join(differ)}: name two encoders of the same sizes as spatial and temporal"
            )
        self.spatial = spatial
        self.temporal = temporal
        self.requires_grad_(False)
        self.eval()

    @property
    def width(self) -> int:
        """D."""
        return self.temporal.width

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return self.temporal.depth

    @property
    def heads(self) -> int:
        """Heads of the attention."""
        return self.temporal.heads

    @property
    def steps(self) -> int:
        """T."""
        return self.temporal.steps

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of places in a frame."""
        return self.temporal.grid

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in evaluation mode, whatever is asked."""
        return super().train(False)

    def blocks(self, number: int) -> dict[Stream, nn.Module]:
        """The block of each expert, from 0."""
        return {"spatial": self.spatial.blocks[number], "temporal": self.temporal.blocks[number]}

    @torch.no_grad()
    def front(self, x_B3FHW: Tensor, streams: Collection[Stream], num_blocks: int) -> Tokens:
        """The tokens of each stream after its first blocks, which nothing trained stands before.

        Args:
            x_B3FHW: Normalised clips.
            streams: Which streams are wanted.
            num_blocks: How many blocks they go through.

        Raises:
            PipelineError: if a clip has another number of frames or another side than the experts take.
        """
        self._check(x_B3FHW)
        tokens: Tokens = {}
        if "spatial" in streams:
            # The last frame of each tubelet, so that both streams have the same time steps.
            frames_B3THW = x_B3FHW[:, :, self.temporal.tubelet - 1 :: self.temporal.tubelet]
            tokens["spatial"] = self.spatial.embed(frames_B3THW.transpose(1, 2).flatten(0, 1))
        if "temporal" in streams:
            tokens["temporal"] = self.temporal.embed(x_B3FHW)
        for number in range(num_blocks):
            blocks = self.blocks(number)
            tokens = {stream: blocks[stream](x) for stream, x in tokens.items()}
        return tokens

    def _check(self, x_B3FHW: Tensor) -> None:
        temporal = self.temporal
        expected = (3, temporal.frames, temporal.image_size, temporal.image_size)
        if x_B3FHW.ndim != len(expected) + 1 or x_B3FHW.shape[1:] != expected:
            raise PipelineError(f"these experts take clips of {list(expected)} numbers, not {list(x_B3FHW.shape[1:])}")


def _of(tower: SpatialTower | TemporalTower, name: str) -> str:
    value = getattr(tower, name)
    return " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)
