"""Training of the LSTM captioner: optimisers, schedules, loss, validation, curves.

As of the bidirectional captioner, the weights that are kept are those whose captions of the validation videos have the
best CIDEr and, where CIDEr is equal, the lowest validation loss. The validation loss is that of all captions of the
validation videos, so that nothing in it is random.

Shapes: P pieces of an epoch that a rank has computed, K numbers measured of a piece.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from pipeline.captioning.batches import BatchesAhead, CaptionedVideos, EpochPlan, validation_pieces
from pipeline.captioning.loss import is_target, smoothed_loss_sum
from pipeline.captioning.lstm_captioner import Clips, LstmCaptioner
from pipeline.captioning.map_batches import MapBatch, MapPieces, iterate_map_captions
from pipeline.captioning.map_set import MapSet
from pipeline.captioning.training import cider, decay_groups, search_settings, tokenised
from pipeline.config import LstmTrainingSettings
from pipeline.errors import PipelineError
from pipeline.jobs.rank_group import Ranks
from pipeline.models.bf16_lstms import require_computable
from pipeline.models.precision import compute_device, compute_dtype
from pipeline.training.adabound import AdaBound
from pipeline.training.rates import Rate, observe_loss
from pipeline.training.task import Recipe, Record, Score
from pipeline.vocabulary import Vocabulary

CURVES = ("epoch", "step", "lr", "train_loss", "val_loss", "val_cider")
VALIDATED_AT_ONCE = 256  # most captions of a validation batch, unless a single video has more


class LstmTraining:
    """The training of one LSTM captioner, a task for `pipeline.training.loop`.

    Args:
        model: The captioner; it is moved to the device that it is trained on.
        vocabulary: The captioner's words.
        maps: Maps by video id.
        plan: The training videos, and how the pieces of an epoch are drawn from them.
        val: The validation videos and their captions.
        references: Captions of each validation video, as their authors wrote them.
        settings: How the captioner is trained.
        seed: Seed of the run; noise and dropout follow from it.
        ranks: The processes that share the work.
    """

    def __init__(
        self,
        model: LstmCaptioner,
        vocabulary: Vocabulary,
        maps: MapSet,
        plan: EpochPlan,
        val: CaptionedVideos,
        references: Mapping[str, Sequence[str]],
        settings: LstmTrainingSettings,
        seed: int,
        ranks: Ranks,
    ) -> None:
        self.device = compute_device()
        self.dtype = compute_dtype(settings.precision, self.device)
        require_computable(model, self.device, self.dtype)
        self.module = self.learned = model.to(self.device)
        self.vocabulary = vocabulary
        self.maps = maps
        self.plan = plan
        self.val = val
        self.references = tokenised(references, val.ids, vocabulary.tokenizer)
        self.settings = settings
        self.seed = seed
        self.ranks = ranks
        optimizer = make_optimizer(model, settings)
        self.recipe = Recipe(
            stage="train_lstm",
            optimizer=optimizer,
            schedule=make_schedule(optimizer, settings, plan.steps_per_epoch),
            seed=seed,
            epochs=settings.epochs,
            accumulate=settings.accumulate,
            clip_norm=settings.clip_norm,
            patience=settings.patience,
        )

    def batches(self, epoch: int, num_done: int) -> Iterator[MapBatch]:
        """This rank's pieces. Noise and dropout are seeded by run, epoch, piece and rank."""
        rank = self.ranks.number
        pieces = self.plan.draw(epoch, rank)[num_done:]
        for piece, batch in enumerate(BatchesAhead(MapPieces(self.plan.videos, self.maps), pieces), num_done):
            place = [self.seed, epoch, piece, rank]
            torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))
            yield batch.to(self.device)

    def loss(self, batch: MapBatch) -> tuple[Tensor, Tensor]:
        """The piece's share of the step's loss, and the piece's loss sum and number of targets, `[2]`."""
        maps = batch.maps.float()
        if self.settings.noise:
            maps = maps + self.settings.noise * torch.randn_like(maps)
        total = self._loss_sum(batch._replace(maps=maps))
        return total / batch.num_tokens, _numbers(total, batch)

    def after_step(self) -> None:
        """Let all ranks have the same running statistics: the means over ranks."""
        if self.ranks.num > 1:
            for norm in (self.module.map_norm, self.module.clip_norm):
                for name in ("running_mean", "running_var"):
                    own: Tensor = getattr(norm, name)
                    own.copy_(self.ranks.sum(own) / self.ranks.num)

    @torch.inference_mode()
    def end_epoch(self, epoch: int, numbers_PK: Tensor) -> tuple[Record, Score | None]:
        """The epoch's row of the curves, named by `CURVES`, and its score; None if no captions were generated."""
        self.module.eval()
        lr = self.recipe.optimizer.param_groups[0]["lr"]
        train_loss, val_loss = self._mean(numbers_PK), self._validation_loss()
        assert isinstance(self.recipe.schedule, LambdaLR)
        observe_loss(self.recipe.schedule, val_loss)
        number = epoch + 1
        is_time = number % self.settings.validate_every == 0 or number == self.settings.epochs
        score = self._score_captions() if is_time else None
        step = number * self.plan.steps_per_epoch
        record = dict(zip(CURVES, (number, step, lr, train_loss, val_loss, score), strict=True))
        return record, None if score is None else (score, -val_loss)

    def describe(self, record: Record) -> str:
        """A line of the log with the losses and the CIDEr of an epoch."""
        line = f"epoch {record['epoch']} of {self.settings.epochs}: loss {record['train_loss']:.3f}"
        line += f", validation {record['val_loss']:.3f}"
        return line + (f", CIDEr {record['val_cider']:.3f}" if record["val_cider"] is not None else "")

    def _loss_sum(self, batch: MapBatch) -> Tensor:
        is_mixed = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype, enabled=is_mixed, cache_enabled=False):
            clips = self.module.encode(batch.maps)
        return loss_sum(self.module, clips, batch, self.settings.label_smoothing)

    def _validation_loss(self) -> float:
        most = max(map(len, self.val.forward))
        size = max(1, VALIDATED_AT_ONCE // most)
        pieces = validation_pieces(self.val, size, most, self.ranks.number, self.ranks.num)
        numbers = [torch.zeros(2, dtype=torch.float64, device=self.device)]  # for a rank that has no validation video
        for batch in BatchesAhead(MapPieces(self.val, self.maps), pieces):
            moved = batch.to(self.device)
            numbers.append(_numbers(self._loss_sum(moved._replace(maps=moved.maps.float())), moved))
        return self._mean(torch.stack(numbers))

    def _mean(self, numbers_PK: Tensor) -> float:
        total, num_targets = self.ranks.sum(numbers_PK.sum(0)).tolist()
        return float(total / num_targets)

    def _score_captions(self) -> float:
        mine = self.val.ids[self.ranks.number :: self.ranks.num]
        size = -(-self.plan.batch_size // (self.plan.accumulate * self.ranks.num))
        settings = search_settings(self.settings.validation_beam, self.vocabulary.max_words, size)
        found = list(iterate_map_captions(self.module, self.vocabulary, self.maps, mine, settings))
        parts = self.ranks.gather({i: " ".join(caption.words) for i, caption in zip(mine, found, strict=True)})
        return cider(self.references, {video_id: words for part in parts for video_id, words in part.items()})


def loss_sum(model: LstmCaptioner, clips: Clips, batch: MapBatch, smoothing: float) -> Tensor:
    """The loss of the words of a batch, and of their ends, summed over targets; see `smoothed_loss_sum`.

    The words are computed in float32, whatever the maps are computed in.

    Args:
        model: The captioner.
        clips: The encoded videos of the batch.
        batch: The captions.
        smoothing: Probability that is taken from a word and shared among the others.
    """
    # An <eos> among the inputs is that of a shorter caption: what follows it is padding, which is no target.
    logits_RLV = model(clips.float(), batch.tokens[:, :-1], batch.caption_video)
    return smoothed_loss_sum(logits_RLV, batch.tokens[:, 1:], smoothing)


def _numbers(total: Tensor, batch: MapBatch) -> Tensor:
    return torch.stack([total.detach(), is_target(batch.tokens[:, 1:]).sum()]).double()


def make_optimizer(model: nn.Module, settings: LstmTrainingSettings) -> Optimizer:
    """Make the optimiser; biases and the vectors of norms have no weight decay."""
    groups = decay_groups(model, settings.weight_decay)
    if settings.optimizer == "sgd":
        return SGD(groups, lr=settings.lr, momentum=settings.momentum)
    if settings.optimizer == "adabound":
        assert settings.final_lr is not None  # the settings say so
        return AdaBound(groups, settings.lr, settings.final_lr, settings.weight_decay)
    return (Adam if settings.optimizer == "adam" else AdamW)(groups, lr=settings.lr)


def make_schedule(optimizer: Optimizer, settings: LstmTrainingSettings, steps_per_epoch: int) -> LambdaLR:
    """Make the schedule of the learning rate, whose state a checkpoint holds."""
    num_steps = settings.epochs * steps_per_epoch
    name = "constant" if settings.schedule == "none" else settings.schedule
    waited = [] if settings.plateau is None else [settings.plateau]
    return LambdaLR(optimizer, Rate(name, num_steps, round(settings.warmup * num_steps), waited))


def require_two(plan: EpochPlan) -> None:
    """Raise PipelineError if some piece of a step would have a single video: the norms need two."""
    fewest = len(plan.videos.ids) // plan.steps_per_epoch // (plan.accumulate * plan.num_processes)
    if fewest < 2:
        raise PipelineError(
            f"training: {len(plan.videos.ids)} captioned training videos in {plan.steps_per_epoch} steps leave fewer "
            f"than the 2 that norms need for {plan.num_processes} processes and `accumulate: {plan.accumulate}`; lower "
            "`accumulate`, raise `batch_size` or use fewer GPUs"
        )
