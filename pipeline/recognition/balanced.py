"""Epochs of steps that have several clips of each of several classes, as TSTL's sampler draws them, and lose none.

The published sampler draws classes at random, and throws the clips of a batch away that it cannot fill: 78 % of the
clips are seen in an epoch of the selector. Here each clip is in one step of the epoch. The clips of a class are cut
into handfuls, as even as they can be; a step takes handfuls of different classes, drawn with the chances that their
number gives, and a class that has as many handfuls left as there are steps is taken for sure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.config import RecognizerTrainingSettings
from pipeline.errors import PipelineError
from pipeline.recognition.batches import EpochPlan, Piece, pieces_of
from pipeline.recognition.labelled_clips import LabelledClips


@dataclass(frozen=True)
class BalancedPlan:
    """Draws the steps and pieces of each epoch, as `EpochPlan` does.

    Attributes:
        labels: The class of each training clip.
        classes: Most classes of a step.
        clips: Most clips of one class in a step.
        accumulate: Number of pieces that a process computes one after another in a step.
        seed: Seed of the run.
        num_processes: Number of processes that share the work.
    """

    labels: Sequence[int]
    classes: int
    clips: int
    accumulate: int
    seed: int
    num_processes: int

    @property
    def num_clips(self) -> int:
        """Number of training clips."""
        return len(self.labels)

    @property
    def batch_size(self) -> int:
        """Most clips of a step."""
        return self.classes * self.clips

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of an epoch: as few as hold all handfuls, with no class twice in a step."""
        handfuls = [-(-len(numbers) // self.clips) for numbers in self._of_classes()]
        return max(-(-sum(handfuls) // self.classes), *handfuls)

    def check(self) -> None:
        """Raise PipelineError if some piece of a step might have no clip."""
        pieces = self.accumulate * self.num_processes
        handfuls = [-(-len(numbers) // self.clips) for numbers in self._of_classes()]
        smallest = min(len(numbers) // of for numbers, of in zip(self._of_classes(), handfuls, strict=True))
        least = sum(handfuls) // self.steps_per_epoch * smallest
        if least < pieces:
            raise PipelineError(
                f"training: balanced: steps may have no more than {least} clips, fewer than {pieces} for "
                f"{self.num_processes} processes and `accumulate: {self.accumulate}`; lower `accumulate`, raise "
                "`classes` or `clips`, or use fewer GPUs"
            )

    def draw(self, epoch: int, process: int) -> list[Piece]:
        """The pieces of one process in an epoch (from 0), in order; `accumulate` of them in a row belong to a step."""
        return pieces_of(epoch, self.steps(epoch), self.accumulate, process, self.num_processes)

    def steps(self, epoch: int) -> list[np.ndarray]:
        """The numbers of the clips of each step of an epoch, shuffled within the step."""
        rng = np.random.default_rng([self.seed, epoch])
        waiting = []  # for each class its handfuls that are in no step yet
        for numbers in self._of_classes():
            number = -(-len(numbers) // self.clips)
            waiting.append(list(np.array_split(rng.permutation(numbers), number)))
        steps = []
        for left in range(self.steps_per_epoch, 0, -1):
            counts = np.array([len(handfuls) for handfuls in waiting])
            chosen = _chosen(counts, -(-int(counts.sum()) // left), left, rng)
            steps.append(rng.permutation(np.concatenate([waiting[one].pop() for one in chosen])))
        return steps

    def _of_classes(self) -> list[np.ndarray]:
        """The numbers of the clips of each class that has some."""
        labels = np.asarray(self.labels)
        return [np.flatnonzero(labels == one) for one in np.unique(labels)]


def _chosen(counts: np.ndarray, number: int, left: int, rng: np.random.Generator) -> list[int]:
    """Choose the classes of a step.

    Args:
        counts: How many handfuls each class has left.
        number: How many classes to choose; of those with some left there are enough.
        left: Number of steps left, this one included; no class has more handfuls.
        rng: Draws the classes.
    """
    sure = np.flatnonzero(counts == left)
    chances = np.where(counts == left, 0, counts).astype(float)
    rest = number - len(sure)
    if rest <= 0:
        return sure.tolist()
    drawn = rng.choice(len(counts), rest, replace=False, p=chances / chances.sum())
    return [*sure.tolist(), *drawn.tolist()]


def plan_of(
    clips: LabelledClips, training: RecognizerTrainingSettings, seed: int, num_processes: int
) -> EpochPlan | BalancedPlan:
    """How the steps of a training are drawn.

    Args:
        clips: The training clips; balanced steps have several of what is learned of the first head.
        training: How a model is trained.
        seed: Seed of the run.
        num_processes: Number of processes that share the work.
    """
    number = len(clips.ids)
    if training.balanced is None:
        return EpochPlan(number, training.batch_size, training.accumulate, training.epoch_clips, seed, num_processes)
    labels = [clips.labels_of(clip, False)[0] for clip in range(number)]
    balanced = training.balanced
    return BalancedPlan(labels, balanced.classes, balanced.clips, training.accumulate, seed, num_processes)
