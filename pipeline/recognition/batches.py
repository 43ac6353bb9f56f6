"""The order in which labelled clips are trained on, and the batches made of them.

Every process plans the whole epoch from the seed and the number of the epoch, and so all have the same plan. What is
random in a clip (frames, crop, mirroring, brightness, and what the network leaves out of it) follows from the seed, the
number of the epoch and the clip's id; how the clips of a step are mixed follows from the seed, the epoch and the step.
It follows that

- a step has the same clips with the same pixels however many processes share it, and wherever a run was interrupted,
- no clip comes twice in an epoch to fill a batch up,
- every piece knows how many clips the whole step has.

Shapes: B clips, T frames or steps in time, K heads.
"""

import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import MixupSettings
from pipeline.errors import PipelineError
from pipeline.recognition.labelled_clips import LabelledClips

MIXED = 0x6D697875  # sets the draws of mixup apart from those of the order of clips

Item = TypeVar("Item")
Made = TypeVar("Made")


class ClipBatch(NamedTuple):
    """Some clips with their labels.

    Attributes:
        x: What the network sees of them: bytes `[B, T, C, H, W]`, or such pixels as numbers where clips are mixed, or
            features `[B, T, D]`.
        labels: Their classes, one a head, `[B, K]`.
        num_clips: Number of clips of the whole step, over all processes and accumulations.
        numbers: The clips' numbers among those of their split `[B]`.
        seeds: A number of each clip, from which the network draws what it leaves out of the clip, `[B]`.
        partners: Classes of the clips that they are mixed with, `[B, K]`.
        share: How much of each is the clip itself; 1 where nothing is mixed.
    """

    x: Tensor
    labels: Tensor
    num_clips: int
    numbers: Tensor
    seeds: Tensor
    partners: Tensor
    share: float

    def to(self, device: torch.device) -> "ClipBatch":
        """A copy of the batch on another device."""
        names = ("x", "labels", "numbers", "seeds", "partners")
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

    def training_clip(self, clip_id: str, rng: np.random.Generator, epoch: int, /) -> Seen:
        """A clip with what is random in it, in an epoch, from 0."""

    def validation_clip(self, clip_id: str) -> Tensor:
        """A clip without anything random."""


class Piece(NamedTuple):
    """The part of a step that one process computes at once.

    Attributes:
        epoch: The epoch, from 0; None in validation.
        numbers: Numbers of the clips in `LabelledClips`.
        num_clips: Number of clips of the whole step.
        step: The step of the epoch, from 0; None in validation, where nothing is mixed.
        partners: Numbers of the clips that those of `numbers` are mixed with, wherever in the step they are.
    """

    epoch: int | None
    numbers: list[int]
    num_clips: int
    step: int | None = None
    partners: Sequence[int] = ()


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
        return pieces_of(epoch, steps, self.accumulate, process, self.num_processes)


def pieces_of(
    epoch: int, steps: Iterable[NDArray[np.int64]], accumulate: int, process: int, num_processes: int
) -> list[Piece]:
    """Divide the steps of an epoch into pieces, and give those of one process, in order.

    The clips of a step are mixed with those of the same step in reverse order, as CAST's are in a batch. So who is
    mixed with whom depends neither on the processes nor on the accumulation.

    Args:
        epoch: The epoch, from 0.
        steps: Numbers of the clips of each step, over all processes and accumulations.
        accumulate: Pieces that a process computes one after another in a step.
        process: The process, from 0.
        num_processes: Number of processes.
    """
    num_parts = accumulate * num_processes
    pieces = []
    for number, step in enumerate(steps):
        parts = zip(np.array_split(step, num_parts), np.array_split(step[::-1], num_parts), strict=True)
        for own, partners in list(parts)[process::num_processes]:
            pieces.append(Piece(epoch, own.tolist(), len(step), number, partners.tolist()))
    return pieces


def validation_pieces(num_clips: int, batch_size: int, process: int, num_processes: int) -> list[Piece]:
    """The validation pieces of one process; over all processes, each clip occurs once."""
    starts = range(0, num_clips, batch_size)[process::num_processes]
    parts = [list(range(start, min(start + batch_size, num_clips))) for start in starts]
    return [Piece(None, part, batch_size) for part in parts]


def generator_of(seed: int, epoch: int, clip_id: str) -> np.random.Generator:
    """The generator of what is random in a clip."""
    own = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, epoch, own])


def seed_of(seed: int, epoch: int, clip_id: str) -> int:
    """The number, of 64 bits and signed, from which a network draws what it leaves out of a clip."""
    text = f"{seed} {epoch} {clip_id}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def share_of(mixup: MixupSettings | None, seed: int, epoch: int, step: int) -> float:
    """How much of a mixed clip is the clip itself (Zhang et al., 2018), the same in all clips of a step.

    Args:
        mixup: How, and in how many of the steps; None for nowhere.
        seed: Seed of the run.
        epoch: The epoch, from 0.
        step: The step of the epoch, from 0.
    """
    if mixup is None:
        return 1.0
    rng = np.random.default_rng([seed, epoch, step, MIXED])
    return float(rng.beta(mixup.alpha, mixup.alpha)) if rng.random() < mixup.share else 1.0


class PieceBatches:
    """Makes the batch of a piece: `batches[piece]`.

    Args:
        clips: The clips whose numbers the pieces give.
        source: Where their pixels or features come from.
        seed: Seed of the run.
        mixup: How the clips of a step are mixed; None for not.
    """

    def __init__(self, clips: LabelledClips, source: ClipSource, seed: int, mixup: MixupSettings | None = None) -> None:
        self.clips = clips
        self.source = source
        self.seed = seed
        self.mixup = mixup

    def __getitem__(self, piece: Piece) -> ClipBatch:
        epoch, step, ids = piece.epoch, piece.step, [self.clips.ids[number] for number in piece.numbers]
        seeds = [0 if epoch is None else seed_of(self.seed, epoch, clip_id) for clip_id in ids]
        share = 1.0 if epoch is None or step is None else share_of(self.mixup, self.seed, epoch, step)
        partners = piece.numbers if share == 1 else piece.partners
        seen = {number: self._see(number, epoch) for number in {*piece.numbers, *partners}}
        x, labels = self._together(piece.numbers, seen)
        partner_labels = labels
        if share < 1:
            x_partners, partner_labels = self._together(partners, seen)
            x = share * x.float() + (1 - share) * x_partners
        numbers = torch.tensor(piece.numbers)
        return ClipBatch(x, labels, piece.num_clips, numbers, torch.tensor(seeds), partner_labels, share)

    def _together(self, numbers: Sequence[int], seen: Mapping[int, Seen]) -> tuple[Tensor, Tensor]:
        """What is seen of some clips, and their labels `[B, K]`."""
        labels = [self.clips.labels_of(number, seen[number].is_mirrored) for number in numbers]
        return torch.stack([seen[number].x for number in numbers]), torch.tensor(labels)

    def _see(self, number: int, epoch: int | None) -> Seen:
        clip_id = self.clips.ids[number]
        if epoch is None:
            return Seen(self.source.validation_clip(clip_id), False)
        return self.source.training_clip(clip_id, generator_of(self.seed, epoch, clip_id), epoch)


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
