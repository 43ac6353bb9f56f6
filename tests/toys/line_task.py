"""A task of the training loop that takes no time: a line is fitted to points, with dropout if wanted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from pipeline.jobs.rank_group import Ranks
from pipeline.jobs.training_run import TrainingRun, training_run
from pipeline.training.loop import Trained, train
from pipeline.training.task import Recipe, Score

NUM_POINTS = 12


class LineTask:
    """Learns y = 2 x - 1 from batches of the points, a share of each for every piece and rank.

    Args:
        ranks: Who shares the work.
        batch_size: Points of a step.
        dropout: Of the input.
        scores: Of the epochs; none where they end.
        watch: Called with the loss's batch before it is computed.
        **recipe: What differs from the usual.
    """

    def __init__(
        self,
        ranks: Ranks,
        batch_size: int = 4,
        dropout: float = 0.0,
        scores: tuple[Score | None, ...] = (),
        watch: Callable[[Tensor], None] = lambda _: None,
        **recipe: object,
    ) -> None:
        torch.manual_seed(3)
        self.module = self.learned = nn.Sequential(nn.Dropout(dropout), nn.Linear(1, 1))
        self.ranks, self.batch_size, self.scores, self.watch = ranks, batch_size, scores, watch
        optimizer = torch.optim.SGD(self.module.parameters(), 0.1, momentum=0.5)  # unlike Adam's, its steps are as long
        schedule = LambdaLR(optimizer, lambda step: 1 / (1 + step))  # as gradients are
        self.recipe = Recipe("fit_line", optimizer, schedule, **{"seed": 5, "epochs": 3} | recipe)

    def batches(self, epoch: int, num_done: int) -> Iterator[Tensor]:
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(NUM_POINTS)
        pieces = []
        for start in range(0, NUM_POINTS, self.batch_size):
            shares = np.array_split(order[start : start + self.batch_size], self.recipe.accumulate * self.ranks.num)
            pieces += shares[self.ranks.number :: self.ranks.num]
        for piece in pieces[num_done:]:
            yield torch.from_numpy(piece).float()[:, None] / NUM_POINTS

    def loss(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        self.watch(batch)
        loss = (self.module(batch) - (2 * batch - 1)).square().sum() / self.batch_size
        return loss, torch.stack([loss.detach(), torch.tensor(float(len(batch)))])

    def after_step(self) -> None:
        pass

    def end_epoch(self, epoch: int, numbers_PK: Tensor) -> tuple[dict, Score | None]:
        loss, num_points = self.ranks.sum(numbers_PK.sum(0)).tolist()
        score = self.scores[epoch] if epoch < len(self.scores) else None
        first = score[0] if isinstance(score, tuple) else score
        return {"epoch": epoch + 1, "loss": loss, "points": num_points, "val": {"score": first}}, score

    def describe(self, record: dict) -> str:
        return f"epoch {record['epoch']}, loss {record['loss']:.3f}"


def fit(folder: Path, **changes: object) -> tuple[Trained, dict[str, Tensor]]:
    """Train in a run of its own; returns what was told and the weights."""
    out = folder / "out"
    out.parent.mkdir(exist_ok=True)
    with training_run(folder / "checkpoints", {}, [out]) as run:
        trained, task = fit_in(run, **changes)
        if run.ranks.is_first:
            out.touch()
    return trained, task.module.state_dict()


def fit_in(run: TrainingRun, **changes: object) -> tuple[Trained, LineTask]:
    task = LineTask(run.ranks, **changes)
    return train(task, run), task
