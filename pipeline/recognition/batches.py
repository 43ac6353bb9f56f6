"""The order in which labelled clips are trained on, and the batches made of them.

Every process plans the whole epoch from the seed and the number of the epoch, and so all have the same plan. What is
random in a clip (frames, crop, mirroring, brightness) follows from the seed, the number of the epoch and the clip's id.
It follows that

- a step has the same clips with the same pixels however many processes share it, and wherever a run was interrupted,
- no clip comes twice in an epoch to fill a batch up,
- every piece knows how many clips the whole step has.

Shapes: B clips, T frames or steps in time, K heads.
"""

import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import PipelineError

Item = TypeVar("Item")
Made = TypeVar("Made")


class ClipBatch(NamedTuple):
    """Some clips with their labels.

    Attributes:
        x: What the network sees of them: bytes `[B, T, C, H, W]`, or features `[B, T, D]`.
        labels: Their classes, one a head, `[B, K]`.
        num_clips: Number of clips of the whole step, over all processes and accumulations.
        numbers: The clips' numbers among those of their split `[B]`.
    """

    x: Tensor
    labels: Tensor
    num_clips: int
    numbers: Tensor

    def to(self, device: torch.device) -> "ClipBatch":
        """A copy of the batch on another device."""
        names = ("x", "labels", "numbers")
        return self._replace(**{name: getattr(self, name).to(device, non_blocking=True) for name in names})


class Seen(NamedTuple):
    """A clip as the network sees it.

    Attributes:
        x: Bytes `[T, C, H, W]`, or features `[T, D]`.
        is_mirrored: Whether left and right were swapped.
    """

    x: Tensor
    is_mirrored: bool


class ClipSource(Protocol):
    """Where clips come from, such as the stored frames or stored features."""

    def hold(self, ids: Sequence[str], /) -> None:
        """Keep clips that will be asked for in memory, if they fit."""

    def training_clip(self, clip_id: str, rng: np.random.Generator, /) -> Seen:
        """A clip with what is random in it."""

    def validation_clip(self, clip_id: str) -> Tensor:
        """A clip without anything random."""


@dataclass(frozen=True)
class LabelledClips:
    """The clips of a split that have labels and can be read.

    Attributes:
        ids: Ids of the clips.
        labels: The classes of each clip, one a head.
        flips: For each head, the class of every class's mirrored clips; None where no class changes, or none is asked.
        groups: The group of each class, where groups are learned in place of classes (TSTL); None elsewhere.
    """

    ids: list[str]
    labels: list[list[int]]
    flips: list[list[int]] | None = None
    groups: list[int] | None = None

    def labels_of(self, number: int, is_mirrored: bool) -> list[int]:
        """What is learned of a clip, or of its mirror image: its classes, or their groups."""
        labels = self.labels[number]
        if is_mirrored and self.flips is not None:
            labels = [flip[label] for flip, label in zip(self.flips, labels, strict=True)]
        return labels if self.groups is None else [self.groups[label] for label in labels]


class Piece(NamedTuple):
    """The part of a step that one process computes at once.

    Attributes:
        epoch: The epoch, from 0; None in validation.
        numbers: Numbers of the clips in `LabelledClips`.
        num_clips: Number of clips of the whole step.
    """

    epoch: int | None
    numbers: list[int]
    num_clips: int


@dataclass(frozen=True)
class EpochPlan:
    """Draws the steps and pieces of each epoch.

    Attributes:
        num_clips: Number of training clips.
        batch_size: Number of clips of a step, over all processes and accumulations; `steps_per_epoch` rounds it.
        accumulate: Number of pieces that a process computes one after another in a step.
        epoch_clips: Number of clips of an epoch, about; the next epoch goes on with others, until all have been seen.
            None for all clips in every epoch.
        seed: Seed of the run.
        num_processes: Number of processes that share the work.
    """

    num_clips: int
    batch_size: int
    accumulate: int
    epoch_clips: int | None
    seed: int
    num_processes: int

    @property
    def epochs_per_pass(self) -> int:
        """Number of epochs in which every clip is seen once."""
        return 1 if self.epoch_clips is None else max(1, round(self.num_clips / self.epoch_clips))

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of an epoch, so that equal steps come as near to `batch_size` clips as they can."""
        return max(1, round(self.num_clips / self.epochs_per_pass / self.batch_size))

    def check(self) -> None:
        """Raise PipelineError if some piece of a step would have no clip."""
        pieces = self.accumulate * self.num_processes
        least = self.num_clips // self.epochs_per_pass // self.steps_per_epoch
        if least < pieces:
            raise PipelineError(
                f"training: {self.num_clips} training clips in {self.steps_per_epoch} steps leave fewer than {pieces} "
                f"a step for {self.num_processes} processes and `accumulate: {self.accumulate}`; lower `accumulate`, "
                "raise `batch_size` or use fewer GPUs"
            )

    def draw(self, epoch: int, process: int) -> list[Piece]:
        """The pieces of one process in an epoch (from 0), in order; `accumulate` of them in a row belong to a step."""
        number, part = divmod(epoch, self.epochs_per_pass)
        order = np.random.default_rng([self.seed, number]).permutation(self.num_clips)
        steps = np.array_split(np.array_split(order, self.epochs_per_pass)[part], self.steps_per_epoch)
        return pieces_of(steps, epoch, process, self.accumulate, self.num_processes)


def pieces_of(
    steps: Sequence[np.ndarray], epoch: int, process: int, accumulate: int, num_processes: int
) -> list[Piece]:
    """The pieces of one process, of the clips' numbers of each step of an epoch; see `EpochPlan`."""
    pieces = []
    for step in steps:
        shares = np.array_split(step, accumulate * num_processes)[process::num_processes]
        pieces += [Piece(epoch, share.tolist(), len(step)) for share in shares]
    return pieces


def validation_pieces(num_clips: int, batch_size: int, process: int, num_processes: int) -> list[Piece]:
    """The validation pieces of one process; over all processes, each clip occurs once."""
    starts = range(0, num_clips, batch_size)[process::num_processes]
    return [Piece(None, list(range(start, min(start + batch_size, num_clips))), batch_size) for start in starts]


def generator_of(seed: int, epoch: int, clip_id: str) -> np.random.Generator:
    """The generator of what is random in a clip."""
    own = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, epoch, own])


class PieceBatches:
    """Makes the batch of a piece: `batches[piece]`.

    Args:
        clips: The clips whose numbers the pieces give.
        source: Where their pixels or features come from.
        seed: Seed of the run.
    """

    def __init__(self, clips: LabelledClips, source: ClipSource, seed: int) -> None:
        self.clips = clips
        self.source = source
        self.seed = seed

    def __getitem__(self, piece: Piece) -> ClipBatch:
        seen = [self._see(number, piece.epoch) for number in piece.numbers]
        labels = [
            self.clips.labels_of(number, one.is_mirrored) for number, one in zip(piece.numbers, seen, strict=True)
        ]
        x = torch.stack([one.x for one in seen])
        return ClipBatch(x, torch.tensor(labels), piece.num_clips, torch.tensor(piece.numbers))

    def _see(self, number: int, epoch: int | None) -> Seen:
        clip_id = self.clips.ids[number]
        if epoch is None:
            return Seen(self.source.validation_clip(clip_id), False)
        return self.source.training_clip(clip_id, generator_of(self.seed, epoch, clip_id))


class BatchesAhead:
    """Iterates over the batches of some pieces; threads make the next batches while the caller works on this one.

    Args:
        batches: Makes the batch of a piece.
        pieces: The pieces, in the order of their batches.
        num_threads: Number of batches that are made at once.
    """

    def __init__(self, batches: PieceBatches, pieces: Sequence[Piece], num_threads: int) -> None:
        self.batches = batches
        self.pieces = pieces
        self.num_threads = num_threads

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[ClipBatch]:
        return made_ahead(self.batches.__getitem__, self.pieces, self.num_threads)


def made_ahead(make: Callable[[Item], Made], items: Iterable[Item], num_threads: int) -> Iterator[Made]:
    """Make something of each item, in their order; threads make the next ones while the caller works on this one."""
    waiting: deque[Future[Made]] = deque()
    left = iter(items)
    pool = ThreadPoolExecutor(num_threads)
    try:
        for item in itertools.islice(left, num_threads + 1):
            waiting.append(pool.submit(make, item))
        while waiting:
            made = waiting.popleft().result()
            for item in itertools.islice(left, 1):
                waiting.append(pool.submit(make, item))
            yield made
    finally:
        pool.shutdown(cancel_futures=True)
