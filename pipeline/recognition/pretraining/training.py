"""Pre-training of the temporal expert by masking: batches of clips and masks, the loss, and its records.

What is random in a clip (its frames, its crop, its mask) follows from the seed, the epoch and the clip's id. Validation
clips have the same mask after every epoch, so that its losses can be compared. The last epoch is kept, as in VideoMAE:
how well hidden pixels are told does not say which epoch's features serve best.

Shapes: B clips, F frames, C colours, S side of a frame, N tokens, K visible tokens, M hidden tokens, V numbers of a
tubelet, P pieces of an epoch that a rank has computed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from pipeline.config import PretrainSettings, VideoMaeSettings
from pipeline.jobs.rank_group import Ranks
from pipeline.models.precision import announced_dtype, compute_device
from pipeline.recognition.batches import ClipSource, EpochPlan, Piece, generator_of, made_ahead, validation_pieces
from pipeline.recognition.pixels import Pixels
from pipeline.recognition.pretraining.autoencoder import MaskedAutoencoder
from pipeline.recognition.pretraining.masks import cut, draw_tubes, take, targets
from pipeline.training.rates import Rate
from pipeline.training.task import Recipe, Record, Score

VALIDATION_EPOCH = 0  # the masks of validation clips are those of this epoch


class MaskedBatch(NamedTuple):
    """Some clips, and what is hidden of them.

    Attributes:
        x: Bytes `[B, F, C, S, S]`.
        visible: Numbers of the visible tokens `[B, K]`.
        hidden: Numbers of the hidden ones `[B, M]`.
        num_clips: Clips of the whole step, over all processes and accumulations.
    """

    x: Tensor
    visible: Tensor
    hidden: Tensor
    num_clips: int

    def to(self, device: torch.device) -> "MaskedBatch":
        """A copy of the batch on another device."""
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in ("x", "visible", "hidden")}
        return self._replace(**moved)


@dataclass(frozen=True)
class MaskedClips:
    """The clips of a pre-training, and the batches made of them.

    Attributes:
        train: Ids of the training clips.
        val: Ids of the validation clips; there may be none.
        source: Where their pixels come from.
        plan: How the pieces of an epoch are drawn from the training clips.
        steps: Tokens of a clip in time.
        places: Tokens of a frame.
        masked: Share of the places that is hidden.
        num_threads: Number of batches that are made at once.
    """

    train: Sequence[str]
    val: Sequence[str]
    source: ClipSource
    plan: EpochPlan
    steps: int
    places: int
    masked: float
    num_threads: int

    def train_batches(self, epoch: int, rank: int, num_done: int) -> Iterator[MaskedBatch]:
        """Batches of one rank in an epoch (counted from 0), without its first `num_done` pieces."""
        return made_ahead(self.batch, self.plan.draw(epoch, rank)[num_done:], self.num_threads)

    def val_batches(self, rank: int) -> Iterator[MaskedBatch]:
        """Batches of one rank's share of the validation clips; over all ranks, each clip occurs once."""
        size = -(-self.plan.batch_size // self.plan.accumulate)
        return made_ahead(
            self.batch, validation_pieces(len(self.val), size, rank, self.plan.num_processes), self.num_threads
        )

    def batch(self, piece: Piece) -> MaskedBatch:
        """The batch of a piece."""
        ids = self.val if piece.epoch is None else self.train
        seen = [self._see(ids[number], piece.epoch) for number in piece.numbers]
        x, visible, hidden = (torch.stack(parts) for parts in zip(*seen, strict=True))
        return MaskedBatch(x, visible, hidden, piece.num_clips)

    def _see(self, clip_id: str, epoch: int | None) -> tuple[Tensor, Tensor, Tensor]:
        rng = generator_of(self.plan.seed, VALIDATION_EPOCH if epoch is None else epoch, clip_id)
        x = self.source.validation_clip(clip_id) if epoch is None else self.source.training_clip(clip_id, rng, epoch).x
        return (x, *draw_tubes(self.steps, self.places, self.masked, rng))


class MaskedTraining:
    """The pre-training of an encoder, a task for `pipeline.training.loop`.

    Args:
        module: The autoencoder; it is moved to the device that it is trained on.
        clips: Batches of the training and the validation split.
        settings: The encoder; `pretrain` must not be None.
        ranks: The processes that share the work.
    """

    def __init__(self, module: MaskedAutoencoder, clips: MaskedClips, settings: VideoMaeSettings, ranks: Ranks) -> None:
        assert settings.pretrain is not None
        self.settings: PretrainSettings = settings.pretrain
        self.device = compute_device()
        self.dtype = announced_dtype(settings.precision, self.device, "the VideoMAE encoder")
        self.module: MaskedAutoencoder = module.to(self.device)
        self.learned = self.module
        self.pixels = Pixels("imagenet", 3).to(self.device)
        self.clips = clips
        self.ranks = ranks
        optimizer = make_optimizer(module, self.settings)
        num_steps = self.settings.epochs * clips.plan.steps_per_epoch
        schedule = LambdaLR(optimizer, Rate("cosine", num_steps, round(self.settings.warmup * num_steps)))
        self.recipe = Recipe(
            stage="pretrain_videomae",
            optimizer=optimizer,
            schedule=schedule,
            seed=self.settings.seed,
            epochs=self.settings.epochs,
            accumulate=self.settings.accumulate,
        )

    def batches(self, epoch: int, num_done: int) -> Iterator[MaskedBatch]:
        """This rank's pieces of an epoch (from 0), without the first `num_done`."""
        for batch in self.clips.train_batches(epoch, self.ranks.number, num_done):
            yield batch.to(self.device)

    def loss(self, batch: MaskedBatch) -> tuple[Tensor, Tensor]:
        """The piece's share of the step's loss, and the piece's summed loss and clips `[2]`."""
        losses_B = masked_loss(self.tell(batch), batch, self.module, self.settings.targets)
        numbers = torch.stack([losses_B.detach().double().sum(), losses_B.new_tensor(len(losses_B)).double()])
        return losses_B.sum() / batch.num_clips, numbers

    def tell(self, batch: MaskedBatch) -> Tensor:
        """What the autoencoder tells of the hidden tubelets, `[B, M, V]` in float32."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32, cache_enabled=False):
            x_B3FSS = self.pixels(batch.x).transpose(1, 2)
            told_BMV: Tensor = self.module(x_B3FSS, batch.visible, batch.hidden)
        return told_BMV.float()

    def after_step(self) -> None:
        """Do nothing: no parameter has bounds."""

    @torch.inference_mode()
    def end_epoch(self, epoch: int, numbers_PK: Tensor) -> tuple[Record, Score | None]:
        """The losses of an epoch; it has no score, so that the last one is kept."""
        self.module.eval()
        lr = self.recipe.optimizer.param_groups[0]["lr"]
        record: Record = {"epoch": epoch + 1, "loss": self._mean(numbers_PK), "val_loss": None, "lr": lr}
        if self.clips.val:
            none = torch.zeros(2, dtype=torch.float64, device=self.device)  # for a rank that has no validation clip
            batches = self.clips.val_batches(self.ranks.number)
            record["val_loss"] = self._mean(torch.stack([none, *(self.loss(b.to(self.device))[1] for b in batches)]))
        return record, None

    def describe(self, record: Record) -> str:
        """A line of the log with the losses of an epoch."""
        line = f"epoch {record['epoch']} of {self.settings.epochs}: loss {record['loss']:.4f}"
        return line if record["val_loss"] is None else f"{line}, validation loss {record['val_loss']:.4f}"

    def _mean(self, numbers_PK: Tensor) -> float:
        loss, clips = self.ranks.sum(numbers_PK.sum(0)).tolist()
        return float(loss / clips)


def masked_loss(told_BMV: Tensor, batch: MaskedBatch, module: MaskedAutoencoder, form: str) -> Tensor:
    """Mean squared distance of each clip's hidden tubelets from what was told of them `[B]`; visible ones do not count.

    Args:
        told_BMV: What was told.
        batch: The clips.
        module: The autoencoder, for the size of its tubelets.
        form: What has to be told: see `targets`.
    """
    hidden_BMP3 = take(cut(batch.x, module.tubelet_size), batch.hidden)
    wanted_BMV = targets(hidden_BMP3, form).wanted.flatten(2)
    return F.mse_loss(told_BMV, wanted_BMV, reduction="none").mean((1, 2))


def make_optimizer(module: nn.Module, settings: PretrainSettings) -> AdamW:
    """AdamW with VideoMAE's groups: biases, norms and the mask token have no weight decay."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in module.parameters() if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in module.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=settings.lr, betas=settings.betas, fused=True)
