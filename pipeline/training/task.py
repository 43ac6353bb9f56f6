"""Interface of a training to `pipeline.training.loop`: all that is particular to it.

Shapes: P pieces of an epoch that a rank has computed, K numbers that a task measures of a piece.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

Score = float | tuple[float, ...]  # more is better; further numbers decide where those before them are equal
Record = dict[str, Any]  # the report of an epoch, by name: numbers, None, and dictionaries of these


@dataclass(frozen=True)
class Recipe:
    """How a module is trained.

    Attributes:
        stage: Name of the training in messages.
        optimizer: Optimizer of the parameters.
        schedule: Schedule of the learning rate; it is stepped after each step of the optimizer.
        seed: Seed of torch's random generators, which dropout draws from, for example.
        epochs: Largest number of epochs.
        accumulate: Number of pieces that a rank computes one after another in a step.
        clip_norm: Norm that longer gradients are cut to; None to leave gradients as they are.
        patience: The training stops after this many scores in a row that are no better than the best; None to train
            for all epochs.
    """

    stage: str
    optimizer: Optimizer
    schedule: LRScheduler
    seed: int
    epochs: int
    accumulate: int = 1
    clip_norm: float | None = None
    patience: int | None = None


class Task(Protocol):
    """A training, as the loop sees it.

    Attributes:
        recipe: How the module is trained.
    """

    recipe: Recipe

    @property
    def module(self) -> nn.Module:
        """The module that is trained, on the device that it is trained on."""

    @property
    def learned(self) -> nn.Module:
        """The part of the module that learns, or the module itself if nothing in it is frozen.

        Checkpoints and the best epoch hold the state of this part alone, because the rest is as a new task has it.
        """

    def batches(self, epoch: int, num_done: int) -> Iterable[Any]:
        """This rank's pieces of an epoch (from 0), without the first `num_done`; every rank has equally many."""

    def loss(self, batch: Any) -> tuple[Tensor, Tensor]:
        """This rank's share of the loss, and K numbers `[K]` to record of the piece.

        The loss of a step is the sum of the shares over its pieces and ranks.
        """

    def after_step(self) -> None:
        """Bring parameters that have bounds back into them after a step."""

    def end_epoch(self, epoch: int, numbers_PK: Tensor) -> tuple[Record, Score | None]:
        """Measure an epoch; every rank calls this, and what the first rank returns counts.

        Args:
            epoch: Number of the epoch, from 0.
            numbers_PK: Numbers that `loss` returned for the pieces of this rank.

        Returns:
            The record of the epoch, and the score that the best weights are chosen by; None for an epoch without one.
        """

    def describe(self, record: Record) -> str:
        """Describe the record of an epoch in one line for the log."""
