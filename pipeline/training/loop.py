"""The training loop: epochs of steps that can be interrupted between any two steps.

A task defines what is particular to a training: its batches, its loss, the measurements at the end of an epoch. The
loop does what all trainings have in common. Each rank computes its pieces of a step; gradients are summed over pieces
and ranks (DistributedDataParallel, Li et al. 2020).

The state is saved every ten minutes, before the measurements that end an epoch, and when SIGTERM has come to any of the
ranks. The ranks ask one another after each step, so that all stop after the same one. A later call goes on from the
saved state and ends with the same bytes: batches follow from seed, epoch and place, and the state holds torch's random
generators and what each rank has measured in the epoch.

Shapes: P pieces of an epoch that a rank has computed, K numbers that a task measures of a piece.
"""

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.jobs import preemption
from pipeline.jobs.kept_memory import keep_freed_memory
from pipeline.jobs.training_run import State, TrainingRun
from pipeline.training.task import Record, Score, Task

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LEAST = (-math.inf,)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """The result of a training that has ended.

    Attributes:
        records: The record of each epoch, in order.
        kept_epoch: Number, from 1, of the epoch whose weights the module has now. It is the epoch with the best score,
            the first one of equals, or the last epoch if none has a score.
    """

    records: list[Record]
    kept_epoch: int


def train(task: Task, run: TrainingRun) -> Trained:
    """Train, or go on where an earlier call was interrupted, and leave the best weights in what the task learns.

    Args:
        task: The training: its module, the part of it that learns, batches, loss and measurements.
        run: The run, whose folder holds the checkpoint and the TensorBoard logs.

    Raises:
        PipelineError: A checkpoint cannot be written.
        Preempted: SIGTERM has come; the state is saved.
    """
    device = next(task.module.parameters()).device
    if device.type == "cpu":
        keep_freed_memory()
    with torch.random.fork_rng([device] if device.type == "cuda" else []), closing(_Loop(task, run, device)) as loop:
        torch.manual_seed(task.recipe.seed)
        return loop.go()


class _Loop:
    """The state of a training between two steps, and the steps.

    Args:
        task: The training: its module, batches, loss and measurements.
        run: The run, whose folder holds the checkpoint and the TensorBoard logs.
        device: Device that the module is trained on.

    Attributes:
        records: Records of the epochs that have ended.
        scores: Score of each of these epochs; None for an epoch without one.
        kept: Number, from 1, of the epoch with the best score; 0 if none has a score yet.
        best: What was learned by that epoch, on the CPU; None if there is none yet.
        numbers: Numbers `[K]` that the task has measured of each piece computed in the current epoch.
    """

    def __init__(self, task: Task, run: TrainingRun, device: torch.device) -> None:
        self.task = task
        self.recipe = task.recipe
        self.run = run
        self.ranks = run.ranks
        self.device = device
        self.loss: nn.Module = _Loss(task)
        if self.ranks.num > 1:  # without views, each gradient would be copied to the buffer that is exchanged, and back
            self.loss = DistributedDataParallel(self.loss, broadcast_buffers=False, gradient_as_bucket_view=True)
        self.log = _log(run) if self.ranks.is_first else None
        self.records: list[Record] = []
        self.scores: list[Score | None] = []
        self.kept = 0
        self.best: State | None = None
        self.numbers: list[Tensor] = []
        self._saved_at = (0, 0)
        self._started = 0.0

    def close(self) -> None:
        """Close the TensorBoard log, which writes what it still buffers."""
        if self.log is not None:
            self.log.close()

    def go(self) -> Trained:
        """Train until the last epoch, or until `patience` scores in a row were no better than the best."""
        self._continue()
        while len(self.records) < self.recipe.epochs and not self._has_stopped():
            with preemption.deferring_sigterm():
                self._train_epoch()
                self._save_if_due(now=True)  # a kill during the measurement then costs the measurement alone
            # A single rank may end at once. One of several must not, because the others would wait for it.
            with preemption.deferring_sigterm() if self.ranks.num > 1 else nullcontext():
                self._end_epoch()
        if self.best is not None:
            self.task.learned.load_state_dict(self.best)
        return Trained(self.records, self.kept or len(self.records))

    def _train_epoch(self) -> None:
        """Do the steps of the epoch that are left."""
        self._started = time.monotonic()
        self.task.module.train()
        for batch in self.task.batches(len(self.records), len(self.numbers)):
            ends_step = (len(self.numbers) + 1) % self.recipe.accumulate == 0
            with nullcontext() if ends_step else self._own_gradient():
                loss, numbers_K = self.loss(batch)
                (loss * self.ranks.num).backward()  # ranks average their gradients, which must be summed
            self.numbers.append(numbers_K.detach())
            if ends_step:
                self._step()
                self._save_if_due()

    def _own_gradient(self) -> AbstractContextManager[None]:
        """A context in which ranks do not exchange gradients: each adds to its own."""
        return self.loss.no_sync() if isinstance(self.loss, DistributedDataParallel) else nullcontext()

    def _step(self) -> None:
        optimizer = self.recipe.optimizer
        if self.recipe.clip_norm is not None:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        self.recipe.schedule.step()
        self.task.after_step()

    def _end_epoch(self) -> None:
        """Measure the epoch, log its record, and keep its weights if their score is the best."""
        found = self.task.end_epoch(len(self.records), torch.stack(self.numbers))
        record, score = self.ranks.from_first(found)
        self.numbers = []
        self.records.append(record)
        if score is not None and _rank(score) > max((_rank(s) for s in self.scores if s is not None), default=LEAST):
            self.kept = len(self.records)
            self.best = {name: tensor.to("cpu", copy=True) for name, tensor in self.task.learned.state_dict().items()}
        self.scores.append(score)
        seconds = time.monotonic() - self._started
        log.info("%s: %s, %.1f s", self.recipe.stage, self.task.describe(record), seconds)
        if self.log is not None:
            for name, value in _flat(record):
                self.log.add_scalar(name, value, self.recipe.schedule.last_epoch)

    def _has_stopped(self) -> bool:
        since = [score for score in self.scores[self.kept :] if score is not None]
        return self.recipe.patience is not None and len(since) >= self.recipe.patience

    def _save_if_due(self, *, now: bool = False) -> None:
        """Save the state if it is time or SIGTERM has come to any rank; SIGTERM then ends all ranks.

        Args:
            now: Whether to save even if the last checkpoint is recent.

        Raises:
            Preempted: SIGTERM has come to a rank; the state is saved.
        """
        told_to_stop, is_time = self.ranks.any(preemption.sigterm_received(), now or self.run.is_due)
        place = (len(self.records), len(self.numbers))
        if (told_to_stop or is_time) and place != self._saved_at:
            self.run.write_checkpoint(self._state())
            self._saved_at = place
        if told_to_stop:
            preemption.stop_if_requested(f"after {self._place()}", anyway=True)

    def _place(self) -> str:
        return f"step {len(self.numbers) // self.recipe.accumulate} of epoch {len(self.records) + 1}"

    def _state(self) -> State:
        own = {"numbers": torch.stack(self.numbers).cpu(), "generators": _generator_states(self.device)}
        return {
            "learned": self.task.learned.state_dict(),
            "optimizer": self.recipe.optimizer.state_dict(),
            "schedule": self.recipe.schedule.state_dict(),
            "records": self.records,
            "scores": self.scores,
            "kept": self.kept,
            "best": self.best,
            "ranks": self.ranks.gather(own),
        }

    def _continue(self) -> None:
        """Restore the state that an earlier call saved, if there is one."""
        saved = self.run.read_checkpoint()
        if saved is None:
            return
        for part, name in ((self.task.learned, "learned"), (self.recipe.optimizer, "optimizer")):
            part.load_state_dict(saved[name])
        self.recipe.schedule.load_state_dict(saved["schedule"])
        self.records, self.scores, self.kept, self.best = (saved[k] for k in ("records", "scores", "kept", "best"))
        number, ranks = self.ranks.number, saved["ranks"]
        self.numbers = list(_own_numbers([rank["numbers"] for rank in ranks], number, self.ranks.num).to(self.device))
        if number < len(ranks):
            _restore_generators(ranks[number]["generators"], self.device)
        self._saved_at = (len(self.records), len(self.numbers))
        log.info("%s: continuing after %s", self.recipe.stage, self._place())


def _rank(score: Score) -> tuple[float, ...]:
    return score if isinstance(score, tuple) else (score,)


def _log(run: TrainingRun) -> "SummaryWriter":
    # Imported here, because it takes 0.25 s, and only the first rank of a training writes a log.
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(run.folder / "tensorboard")


class _Loss(nn.Module):
    """A task's loss as a module, because DistributedDataParallel wraps the call of a module."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.module = task.module
        self.task = task

    def forward(self, batch: Any) -> tuple[Tensor, Tensor]:
        return self.task.loss(batch)


def _own_numbers(saved: Sequence[Tensor], rank: int, num_ranks: int) -> Tensor:
    """The numbers of the current epoch that a rank goes on with.

    If the number of ranks is the same as before, each rank takes its own numbers, so that sums are added up in the
    order of an undisturbed run. If it is another, the first rank takes the sum over the earlier ranks and the others
    take zeros. This is right for all that is summed over ranks.

    Args:
        saved: Numbers `[P, K]` of each rank of the earlier call.
        rank: Number of this rank, from 0.
        num_ranks: Number of ranks now.

    Returns:
        Numbers `[P, K]`.
    """
    if len(saved) == num_ranks:
        return saved[rank]
    total_PK = torch.stack(list(saved)).sum(0)
    return total_PK if rank == 0 else torch.zeros_like(total_PK)


def _generator_states(device: torch.device) -> list[Tensor]:
    """States of torch's random generators: that of the CPU, then that of the GPU if one is in use."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _restore_generators(states: Sequence[Tensor], device: torch.device) -> None:
    """Put torch's random generators back into saved states."""
    torch.set_rng_state(states[0])
    if len(states) > 1 and device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


def _flat(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """Yield each number of a record with its name; the names of nested dictionaries are joined by slashes."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}/")
        elif value is not None:
            yield f"{above}{name}", value
