"""Training of recognizers: loss, validation, curves.

The weights that are kept are those with the best top-1 on the *validation* clips, as a mean over the heads, and, where
that is equal, with the lowest validation loss. The test split is never looked at.

Shapes: B clips, K heads, P pieces of an epoch that a rank has computed.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline.config import MixupSettings, RecognizerTrainingSettings
from pipeline.jobs.rank_group import Ranks
from pipeline.models.bf16_lstms import require_computable
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.recognition.backbones.nonlocal_block import NonLocal
from pipeline.recognition.balanced import BalancedPlan
from pipeline.recognition.batches import (
    BatchesAhead,
    ClipBatch,
    ClipSource,
    EpochPlan,
    PieceBatches,
    validation_pieces,
)
from pipeline.recognition.channel_order import channels_last
from pipeline.recognition.kick_start import Teachers, region_loss
from pipeline.recognition.labelled_clips import LabelledClips
from pipeline.recognition.optimisers import make_optimizer, make_schedule
from pipeline.recognition.recognizer import Recognizer
from pipeline.recognition.triplet import triplet_share
from pipeline.training.rates import observe_loss
from pipeline.training.task import Recipe, Record, Score

CURVES = ("epoch", "step", "train_loss", "train_top1", "val_loss", "val_top1", "lr")
WORST = (-math.inf,)  # of numbers that are not finite, the first class is the best, and may be the most frequent one
DIVERGED = "the training has diverged, and this epoch is not kept: lower training: lr, or write a clip_norm"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClipData:
    """The clips of a training, and the batches made of them.

    Attributes:
        plan: How the pieces of an epoch are drawn from the training clips.
        train: The training clips.
        val: The validation clips.
        source: Where pixels or features come from.
        num_threads: Number of batches that are made at once.
        mixup: How the training clips of a step are mixed; None for not.
    """

    plan: EpochPlan | BalancedPlan
    train: LabelledClips
    val: LabelledClips
    source: ClipSource
    num_threads: int
    mixup: MixupSettings | None = None

    def train_batches(self, epoch: int, rank: int, num_done: int = 0) -> BatchesAhead:
        """Batches of one rank in an epoch (counted from 0), without its first `num_done` pieces."""
        pieces = self.plan.draw(epoch, rank)[num_done:]
        made = PieceBatches(self.train, self.source, self.plan.seed, self.mixup)
        return BatchesAhead(made, pieces, self.num_threads)

    def val_batches(self, rank: int) -> BatchesAhead:
        """Batches of one rank's share of the validation clips; over all ranks, each clip occurs once."""
        plan = self.plan
        size = -(-plan.batch_size // plan.accumulate)
        pieces = validation_pieces(len(self.val.ids), size, rank, plan.num_processes)
        return BatchesAhead(PieceBatches(self.val, self.source, plan.seed), pieces, self.num_threads)


@dataclass(frozen=True)
class KickStart:
    """Regions of trained models that are learned beside the labels, in the first steps.

    Attributes:
        teachers: The trained models, on the device of the training.
        weight: Weight of the distance of the regions, beside the mean loss of a clip.
        num_steps: How many steps.
    """

    teachers: Teachers
    weight: float
    num_steps: int


class RecognizerTraining:
    """The training of one recognizer, a task for `pipeline.training.loop`.

    Args:
        model: The recognizer, which turns what a batch holds into logits by head; it is moved to the device that it is
            trained on.
        heads: The part of it that gives the logits.
        data: Batches of the training and the validation split.
        settings: How the recognizer is trained.
        seed: Seed of the run.
        ranks: The processes that share the work.
        learned: The part of the model that learns, if another part is kept frozen: see `pipeline.training.task`.
        teachers: Models whose regions are learned in the first steps, as `settings.kick_start` says; None for none.
    """

    def __init__(
        self,
        model: nn.Module,
        heads: nn.Module,
        data: ClipData,
        settings: RecognizerTrainingSettings,
        seed: int,
        ranks: Ranks,
        teachers: Teachers | None = None,
        learned: nn.Module | None = None,
    ) -> None:
        self.device = compute_device()
        self.dtype = announced_dtype(settings.precision, self.device, "the recognizer")
        require_computable(model, self.device, self.dtype)
        freeze(model, settings)
        self.module = channels_last(model.to(self.device))
        self.learned = self.module if learned is None else learned
        self.data = data
        self.settings = settings
        self.seed = seed
        self.ranks = ranks
        self.kick_start: KickStart | None = None
        if teachers is not None and settings.kick_start is not None:
            num_steps = round(settings.kick_start.share * settings.epochs * data.plan.steps_per_epoch)
            self.kick_start = KickStart(teachers.to(self.device), settings.kick_start.weight, num_steps)
        optimizer = make_optimizer(model, heads, settings)
        self.recipe = Recipe(
            stage="train_recognizer",
            optimizer=optimizer,
            schedule=make_schedule(optimizer, settings, data.plan.steps_per_epoch),
            seed=seed,
            epochs=settings.epochs,
            accumulate=settings.accumulate,
            clip_norm=settings.clip_norm,
            patience=settings.patience,
        )

    def batches(self, epoch: int, num_done: int) -> Iterator[ClipBatch]:
        """This rank's pieces.

        What is left out of a clip follows from its seed. The networks of torchvision that leave blocks out of clips
        draw from torch's generator instead, which is seeded by run, epoch, piece and rank, so that it differs between
        them.
        """
        freeze(self.module, self.settings)  # the loop has just put all modules into training mode
        rank = self.ranks.number
        for piece, batch in enumerate(self.data.train_batches(epoch, rank, num_done), num_done):
            place = [self.seed, epoch, piece, rank]
            torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))
            yield batch.to(self.device)

    def loss(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """The piece's share of the step's loss, and the piece's loss, hits (a mean over heads) and clips `[3]`."""
        logits, beside = self._computed(batch)
        total = mixed_loss(logits, batch, self.settings.label_smoothing)
        numbers = _numbers(total, logits, batch)
        total = total if beside is None else total + beside
        return (total if self.settings.loss == "sum" else total / batch.num_clips), numbers

    def _computed(self, batch: ClipBatch) -> tuple[dict[str, Tensor], Tensor | None]:
        """The logits by head, and this piece's share of what is learned beside the labels, summed over clips."""
        guide, triplet = self.kick_start, self.settings.triplet
        with self._autocast():
            if guide is not None and self.recipe.schedule.last_epoch < guide.num_steps:
                logits, regions = self.module.with_regions(batch.x, batch.seeds)  # type: ignore[operator]
                distance = region_loss(regions, guide.teachers.regions(batch.x))
                return logits, guide.weight * len(batch.labels) * distance
            if triplet is None:
                return self.module(batch.x, seeds=batch.seeds), None
            logits, vectors_BD = self.module.with_features(batch.x, batch.seeds)  # type: ignore[operator]
        share = triplet_share(vectors_BD, batch.labels[:, 0], triplet.margin, self.ranks)
        return logits, triplet.weight * batch.num_clips * share

    def after_step(self) -> None:
        """Do nothing: no parameter has bounds."""

    @torch.inference_mode()
    def end_epoch(self, epoch: int, numbers_PK: Tensor) -> tuple[Record, Score | None]:
        """The epoch's row of the curves, named by `CURVES`, and its score; None if it was not validated."""
        self.module.eval()
        number = epoch + 1
        schedule = self.recipe.schedule
        # As the settings say it: the groups of parameters have multiples, and the first is the head's.
        lr = self.settings.lr * self.recipe.optimizer.param_groups[0]["lr"] / schedule.base_lrs[0]
        train_loss, train_top1 = self._means(numbers_PK)
        val_loss, val_top1, score = None, None, None
        if number % self.settings.validate_every == 0 or number == self.settings.epochs:
            val_loss, val_top1 = self._validate()
            score = (val_top1, -val_loss) if math.isfinite(val_loss) else WORST
            if score is WORST:
                log.warning("train_recognizer: epoch %d: the validation loss is %s: %s", number, val_loss, DIVERGED)
            observe_loss(schedule, val_loss)  # type: ignore[arg-type]
        step = number * self.data.plan.steps_per_epoch
        values = (number, step, train_loss, train_top1, val_loss, val_top1, lr)
        return dict(zip(CURVES, values, strict=True)), score

    def describe(self, record: Record) -> str:
        """A line of the log with the losses and the accuracies of an epoch."""
        line = (
            f"epoch {record['epoch']} of {self.settings.epochs}: loss {record['train_loss']:.3f}, "
            f"top-1 {record['train_top1']:.1%}"
        )
        if record["val_loss"] is None:
            return line
        return f"{line}; validation loss {record['val_loss']:.3f}, top-1 {record['val_top1']:.1%}"

    def _autocast(self) -> torch.autocast:
        is_mixed = self.dtype != torch.float32
        # With autocast's cache, the gradients of a weight used twice would be added up in bf16, not in float32.
        return torch.autocast(self.device.type, self.dtype, enabled=is_mixed, cache_enabled=False)

    def _validate(self) -> tuple[float, float]:
        """Mean loss and top-1 of the validation clips. All ranks have the statistics of batch norm of the first."""
        share_buffers(self.learned, self.ranks)
        numbers = [torch.zeros(3, dtype=torch.float64, device=self.device)]  # for a rank that has no validation clip
        for batch in self.data.val_batches(self.ranks.number):
            moved = batch.to(self.device)
            with self._autocast():
                logits = self.module(moved.x)
            numbers.append(_numbers(mixed_loss(logits, moved, 0.0), logits, moved))
        return self._means(torch.stack(numbers))

    def _means(self, numbers_PK: Tensor) -> tuple[float, float]:
        loss, hits, clips = self.ranks.sum(numbers_PK.sum(0)).tolist()
        return loss / clips, hits / clips


def mixed_loss(logits: Mapping[str, Tensor], batch: ClipBatch, smoothing: float) -> Tensor:
    """Cross-entropy with the labels of clips and of those that they are mixed with, summed over clips and heads.

    It is linear in its target, so that the mean of two losses is the loss of the mixed labels, smoothed or not.

    Args:
        logits: Logits `[B, classes]` by head, in the order of the labels.
        batch: The clips.
        smoothing: Share of the target that is spread over all classes.
    """
    own = summed_loss(logits, batch.labels, smoothing)
    if batch.share == 1:
        return own
    return batch.share * own + (1 - batch.share) * summed_loss(logits, batch.partners, smoothing)


def summed_loss(logits: Mapping[str, Tensor], labels_BK: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy, summed over clips and heads, in float32.

    Args:
        logits: Logits `[B, classes]` by head, in the order of the labels.
        labels_BK: The classes.
        smoothing: Share of the target that is spread over all classes.
    """
    losses = [
        F.cross_entropy(logits_BC.float(), labels_BK[:, head], reduction="sum", label_smoothing=smoothing)
        for head, logits_BC in enumerate(logits.values())
    ]
    return torch.stack(losses).sum()


def _numbers(total: Tensor, logits: Mapping[str, Tensor], batch: ClipBatch) -> Tensor:
    """Summed loss, hits (a mean over heads) and number of clips `[3]`; they add up over pieces and ranks.

    A mixed clip is hit to the share of the class that is found in it.
    """
    found_BK = torch.stack([one.argmax(1) for one in logits.values()], 1)
    clips = torch.tensor(len(batch.labels), device=batch.labels.device)
    hits = batch.share * (found_BK == batch.labels).sum(0).double()
    if batch.share < 1:
        hits = hits + (1 - batch.share) * (found_BK == batch.partners).sum(0)
    return torch.stack([total.detach().double(), hits.mean(), clips.double()])


def freeze(model: nn.Module, settings: RecognizerTrainingSettings) -> None:
    """Keep what the settings keep as it is: statistics of batch norm, and a backbone that was trained before.

    Args:
        model: The model, in training mode.
        settings: `batch_norm` as in `freeze_norms`; without `train_backbone` no gradient is computed of the backbone.
            The experts of CAST are frozen anyway.
    """
    if not isinstance(model, Recognizer):
        return
    if settings.batch_norm != "train":
        freeze_norms(model.backbone, settings.batch_norm)
    if not settings.train_backbone:
        model.backbone.requires_grad_(False).eval()


def freeze_norms(backbone: nn.Module, how: str) -> None:
    """Keep the statistics of a backbone's layers of batch norm as they are.

    Those of graph modules are not kept: they begin with none, so kept ones would normalise nothing.

    Args:
        backbone: The backbone, in training mode.
        how: `train`: none is kept. `partial`: all but the first layer's, and these layers do not learn either (TSN);
            those of non-local blocks do, as in TSM's code: their gains begin with 0, and would stay there.
            `frozen`: all (RSTG); gains and offsets still learn.
    """
    norms = [module for module in backbone.modules() if isinstance(module, _BatchNorm)]
    if how == "partial":
        of_blocks = {id(block.bn) for block in backbone.modules() if isinstance(block, NonLocal)}
        norms = [norm for norm in norms if id(norm) not in of_blocks]
    kept: Sequence[_BatchNorm] = [] if how == "train" else norms[1:] if how == "partial" else norms
    for norm in kept:
        norm.eval()
        if how == "partial":
            norm.requires_grad_(False)


def share_buffers(model: nn.Module, ranks: Ranks) -> None:
    """Give all ranks the first rank's buffers, such as statistics of batch norm, which differ between them."""
    if ranks.num == 1:
        return
    first = ranks.from_first({name: buffer.cpu() for name, buffer in model.named_buffers()})
    for name, buffer in model.named_buffers():
        buffer.copy_(first[name])


def kept_by(records: Sequence[Record], kept_epoch: int) -> str:
    """What chose the epoch whose weights were kept: the column of its curves that is better than in all others.

    Args:
        records: The records of all epochs.
        kept_epoch: Number of the epoch, from 1.

    Returns:
        `val_top1`; `val_loss` where another epoch has the same top-1.
    """
    best = records[kept_epoch - 1]["val_top1"]
    return "val_loss" if sum(record["val_top1"] == best for record in records) > 1 else "val_top1"
