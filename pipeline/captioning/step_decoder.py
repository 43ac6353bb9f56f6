"""What a search asks of a model: the log-probabilities of the next word, for many captions at once.

A captioner of another kind brings a step decoder of its own; beam search and sampling need nothing else of it.

Shapes: G videos, R captions of all videos (those of a video stand together), V words.
"""

from typing import Protocol, TypeVar

import torch
from torch import Tensor

State = TypeVar("State")


class StepDecoder(Protocol[State]):
    """A decoder together with what it sees of a batch of videos.

    What a state holds is the decoder's own matter: keys and values of the words so far, or hidden vectors. No method
    changes a state in place.
    """

    @property
    def num_videos(self) -> int:
        """G."""

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""

    def begin(self, num_captions: int) -> State:
        """The state before the first token, for so many captions of each video: R = G times `num_captions`."""

    def step(self, tokens_R: Tensor, state: State) -> tuple[Tensor, State]:
        """Go on by one token of each caption, the first of which is `<bos>`.

        Args:
            tokens_R: The latest token of each caption.
            state: From `begin`, from the call before or from `reorder`.

        Returns:
            Log-probabilities of the next token, float32 `[R, V]`, which the caller may change; and the new state.
        """

    def reorder(self, state: State, rows_R: Tensor) -> State:
        """The state of captions that go on from other ones: row i of the result is row `rows_R[i]` of `state`."""
