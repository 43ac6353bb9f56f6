"""What CAST's experts make of clips before the first block with anything trained in it, stored and read in training.

Nothing trained stands before these tokens, so that they are the same in every epoch that shows a clip in the same way.
A few ways to show a clip, its views, are stored, and epochs take turns in them: view v is what a training with the seed
`SEED` would see of the clip in its epoch v.

Shapes: B clips, V views, S steps in time, L tokens of a frame, N tokens of a clip, M tokens of both streams, D width.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.artifact import read, store_path
from pipeline.artifact.all_shards import AllShards, hold_smallest
from pipeline.artifact.checking import provenance
from pipeline.config import CastSettings
from pipeline.errors import PipelineError
from pipeline.recognition.batches import Seen, generator_of
from pipeline.recognition.cast_body import Tokens
from pipeline.recognition.cast_recognizer import CastRecognizer, Experts, Front
from pipeline.recognition.clip_source import HELD_BYTES, FrameSource
from pipeline.recognition.front_settings import front_settings
from pipeline.schemas import FRONTS

SEED = 0  # of the stored views; trainings with any seed share them


def require_made_for(paths: Sequence[Path], settings: CastSettings, experts: Experts) -> None:
    """Raise PipelineError if tokens were stored by other settings than a recognizer's, or of other experts."""
    wanted = front_settings(settings.model_dump(mode="json"))
    for path in paths:
        made = provenance(store_path(path))
        differ = [key for key, value in wanted.items() if made["settings"].get(key) != value]
        differ += [role for role, digest in experts.digests.items() if made["inputs"][role]["digest"] != digest]
        if differ:
            raise PipelineError(
                f"{path} was stored for a recognizer of another {', '.join(differ)} than this one, whose tokens are "
                "others: run extract_front again"
            )


def training_views(source: FrameSource, clip_id: str, num_views: int) -> list[Seen]:
    """The views of a training clip that are stored."""
    return [source.training_clip(clip_id, generator_of(SEED, view, clip_id), view) for view in range(num_views)]


def packed(tokens: Tokens, steps: int) -> Tensor:
    """Put the tokens of both streams of some clips one after another, `[B, M, D]`; an unneeded stream has none.

    Args:
        tokens: Spatial ones `[B * S, L, D]` and temporal ones `[B, N, D]`.
        steps: S.
    """
    x = tokens.get("spatial")
    spatial = [] if x is None else [x.reshape(-1, steps * x.shape[1], x.shape[2])]
    temporal = [tokens["temporal"]] if "temporal" in tokens else []
    return torch.cat([*spatial, *temporal], 1)


class FromFronts(nn.Module):
    """A recognizer that is given stored tokens in the place of pixels.

    Args:
        model: The recognizer.
    """

    def __init__(self, model: CastRecognizer) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_BMD: Tensor, seeds: Tensor | None = None) -> dict[str, Tensor]:
        """Give the logits of each head, `[B, K]`, as the recognizer does of pixels.

        Args:
            x_BMD: What `packed` gives, in any precision.
            seeds: A number of each clip `[B]`, from which drop path is drawn in training.
        """
        return self.model.from_front(self.unpacked(x_BMD.float()), seeds)

    def with_features(self, x_BMD: Tensor, seeds: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """Give what `forward` gives, and what the heads saw for it, as the recognizer does of pixels."""
        return self.model.from_front_with_features(self.unpacked(x_BMD.float()), seeds)

    def unpacked(self, x_BMD: Tensor) -> Front:
        """The tokens of each stream, as `CastRecognizer.front` gives them."""
        part, body = self.model.part, self.model.body
        streams = part.needs[part.num_before].attend
        length = 1 + body.grid[0] * body.grid[1]
        num_spatial = body.steps * length if "spatial" in streams else 0
        spatial: Tensor | None = None
        if num_spatial:
            spatial = x_BMD[:, :num_spatial].reshape(-1, body.steps, length, x_BMD.shape[2])
        return spatial, x_BMD[:, num_spatial:] if "temporal" in streams else None


class FrontSource:
    """Stored tokens of clips, for a training.

    Args:
        paths: The stores of all shards of a data set (schema `fronts`).
        num_views: V, of each training clip. A validation clip has one view.
    """

    def __init__(self, paths: Sequence[Path], num_views: int) -> None:
        self.fronts = AllShards([read(path, FRONTS) for path in paths], ["token", "mirrored"])
        self.num_views = num_views
        self.holds = False

    def hold(self, _: Sequence[str]) -> None:
        """Keep all tokens in memory, if they fit."""
        self.holds = hold_smallest([self.fronts], HELD_BYTES)

    def training_clip(self, clip_id: str, _: np.random.Generator, epoch: int) -> Seen:
        """The tokens of the view that is shown in an epoch, `[M, D]`."""
        view = epoch % self.num_views
        is_mirrored = self.fronts.video(clip_id, ["mirrored"])["mirrored"][view]
        return Seen(self._tokens(clip_id, view, self.num_views), bool(is_mirrored))

    def validation_clip(self, clip_id: str) -> Tensor:
        """The tokens of a validation clip, `[M, D]`."""
        return self._tokens(clip_id, 0, 1)

    def _tokens(self, clip_id: str, view: int, num_views: int) -> Tensor:
        number = self.fronts.num_rows(clip_id, "token") // num_views
        tokens: NDArray[np.float16] = self.fronts.part(clip_id, "token", view * number, (view + 1) * number)
        return torch.from_numpy(np.ascontiguousarray(tokens))
