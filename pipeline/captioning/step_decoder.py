"""The interface between a captioner and a search: log-probabilities of the next word, for many captions at once.

Each kind of captioner has a step decoder of its own. Beam search and sampling need nothing else of a captioner.

Shapes: G videos, R captions of all videos (those of a video stand together), V words.
"""

from typing import Protocol, TypeVar

import torch
from torch import Tensor

State = TypeVar("State")


class StepDecoder(Protocol[State]):
    """A decoder together with the encoded videos that it attends to.

    Only the decoder knows what its states hold: keys and values of the words so far, for example, or hidden vectors. No
    method changes a state in place.
    """

    @property
    def num_videos(self) -> int:
        """Number of videos G."""

    @property
    def device(self) -> torch.device:
        """Device that the decoder's tensors lie on."""

    def begin(self, num_captions: int) -> State:
        """The state before the first token, for `num_captions` captions of each video: R = G times `num_captions`."""

    def step(self, tokens_R: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one more token of each caption and predict the next; the first token of a caption is `<bos>`.

        Args:
            tokens_R: The latest token of each caption.
            state: The state that `begin`, the call before or `reorder` returned.

        Returns:
            Log-probabilities of the next token, float32 `[R, V]`, which the caller may change; and the new state.
        """

    def reorder(self, state: State, rows_R: Tensor) -> State:
        """The state in which caption i goes on from caption `rows_R[i]` of `state`.

        There may be fewer or more of them than before, but equally many of each video.
        """

    def keep(self, videos_N: Tensor) -> "StepDecoder[State]":
        """The decoder for some of its videos, in ascending order.

        Its states are those of this decoder that `reorder` has reduced to captions of these videos.
        """
