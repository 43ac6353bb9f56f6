"""What is particular to one training, told to `pipeline.training.loop`.

Shapes: P pieces of an epoch that a rank has computed, K numbers that a task measures of a piece.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

Record = dict[str, Any]  # what is told of an epoch: numbers, None, and dictionaries of these, by name


@dataclass(frozen=True)
class Recipe:
    """How something is trained.

    Attributes:
        stage: Its name in messages.
        optimizer: Of the parameters.
        schedule: Of the learning rate, stepped after each step of the optimizer.
        seed: Of what torch draws, in dropout for example.
        epochs: How many there are at most.
        accumulate: Pieces that a rank computes one after another in a step.
        clip_norm: Longest gradient; None for any.
        patience: Scores in a row without a better one after which the training stops early; None for never.
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
    """What is particular to one training.

    Attributes:
        recipe: How it is trained.
    """

    recipe: Recipe

    @property
    def module(self) -> nn.Module:
        """What learns, on the device that it learns on."""

    def batches(self, epoch: int, num_done: int) -> Iterable[Any]:
        """This rank's pieces of an epoch (from 0) after the first `num_done`; as many on every rank."""

    def loss(self, batch: Any) -> tuple[Tensor, Tensor]:
        """This rank's share of the loss, and numbers `[K]` about the piece.

        The loss of a step is the sum of the shares over its pieces and ranks.
        """

    def after_step(self) -> None:
        """Mend the parameters after a step, where they have bounds."""

    def end_epoch(self, epoch: int, numbers_PK: Tensor) -> tuple[Record, float | None]:
        """What is told of an epoch (from 0) and the score that the best weights are chosen by, if it has one.

        What the first rank returns counts.
        """

    def describe(self, record: Record) -> str:
        """An epoch in a line of the log."""
