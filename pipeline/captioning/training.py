"""Training of the captioner: optimiser, schedule, loss, validation, curves.

Optimiser and schedule are AKG-sv's: AdamW without weight decay of biases and norms, a warm-up and then a linear fall of
the learning rate to 0, and a bound on the gradient's norm. The weights that are kept are those whose captions of the
*validation* videos have the best CIDEr (Vedantam et al., 2015) and, where CIDEr is equal, the lowest validation loss.
The test split is never looked at (the published code tests every epoch).

Shapes: P pieces of an epoch that a rank has computed, K numbers measured of a piece.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pycocoevalcap.cider.cider import Cider
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from pipeline.captioning.batches import (
    BatchesAhead,
    CaptionBatch,
    CaptionedVideos,
    EpochPlan,
    PieceBatches,
    validation_pieces,
)
from pipeline.captioning.captioner import Captioner
from pipeline.captioning.generation import caption_graphs
from pipeline.captioning.graph_set import GraphList
from pipeline.captioning.loss import LossSums, caption_losses, is_target, weighted_mean
from pipeline.config import DecodingSettings, TrainingSettings
from pipeline.jobs.rank_group import Ranks
from pipeline.models.precision import compute_device, compute_dtype
from pipeline.scoring.tokenising import split_all
from pipeline.training.task import Recipe, Record, Score
from pipeline.vocabulary import Tokenizer, Vocabulary

CURVES = ("epoch", "step", "train_loss", "train_left_to_right", "train_right_to_left", "val_loss", "val_cider")


class CaptionData:
    """Makes the batches of the training and the validation split.

    Args:
        graphs: Graphs by video id.
        plan: The training videos, and how the pieces of an epoch are drawn from them.
        val: The validation videos and their captions.
    """

    def __init__(self, graphs: Any, plan: EpochPlan, val: CaptionedVideos) -> None:
        self.graphs = graphs
        self.plan = plan
        self.val = val

    @property
    def val_batch_size(self) -> int:
        """Number of videos in a validation batch of a rank: as many as in one piece of training."""
        return -(-self.plan.batch_size // (self.plan.accumulate * self.plan.num_processes))

    def train_batches(self, epoch: int, rank: int, num_done: int = 0) -> BatchesAhead[CaptionBatch]:
        """Batches of one rank in an epoch (counted from 0), without its first `num_done` pieces."""
        return BatchesAhead(PieceBatches(self.plan.videos, self.graphs), self.plan.draw(epoch, rank)[num_done:])

    def val_batches(self, rank: int) -> BatchesAhead[CaptionBatch]:
        """Batches of one rank's share of the validation videos; over all ranks, each video occurs once."""
        size, plan = self.val_batch_size, self.plan
        pieces = validation_pieces(self.val, size, plan.captions_per_video, rank, plan.num_processes)
        return BatchesAhead(PieceBatches(self.val, self.graphs), pieces)


class CaptionerTraining:
    """The training of one captioner, a task for `pipeline.training.loop`.

    The score of an epoch is the CIDEr of the captions generated for the validation videos, and then its validation
    loss: CIDEr cannot tell captions of a single video apart. Epochs in which none are generated have no score.

    Args:
        model: The captioner; it is moved to the device that it is trained on.
        vocabulary: The captioner's words.
        data: Batches of the training and the validation split.
        references: Captions of each validation video, as their authors wrote them.
        settings: How the captioner is trained.
        seed: Seed of the run; dropout follows from it.
        ranks: The processes that share the work.
    """

    def __init__(
        self,
        model: Captioner,
        vocabulary: Vocabulary,
        data: CaptionData,
        references: Mapping[str, Sequence[str]],
        settings: TrainingSettings,
        seed: int,
        ranks: Ranks,
    ) -> None:
        self.device = compute_device()
        self.dtype = compute_dtype(settings.precision, self.device)
        self.module = self.learned = model.to(self.device)
        self.vocabulary = vocabulary
        self.data = data
        self.references = tokenised(references, data.val.ids, vocabulary.tokenizer)
        self.settings = settings
        self.seed = seed
        self.ranks = ranks
        num_steps = settings.epochs * data.plan.steps_per_epoch
        warmup = max(1, round(settings.warmup * num_steps))
        optimizer = AdamW(decay_groups(model, settings.weight_decay), lr=settings.lr, fused=True)
        self.recipe = Recipe(
            stage="train_captioner",
            optimizer=optimizer,
            schedule=LambdaLR(optimizer, lambda step: learning_rate_scale(step, warmup, num_steps)),
            seed=seed,
            epochs=settings.epochs,
            accumulate=settings.accumulate,
            clip_norm=settings.clip_norm,
            patience=settings.patience,
        )

    def batches(self, epoch: int, num_done: int) -> Iterator[CaptionBatch]:
        """This rank's pieces. Dropout is seeded by run, epoch, piece and rank, so that it differs between them."""
        rank = self.ranks.number
        for piece, batch in enumerate(self.data.train_batches(epoch, rank, num_done), num_done):
            place = [self.seed, epoch, piece, rank]
            torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))
            yield batch.to(self.device)

    def loss(self, batch: CaptionBatch) -> tuple[Tensor, Tensor]:
        """The piece's share of the step's loss, and the piece's loss sums and target counts `[4]` (see `_sums`)."""
        with self._autocast():
            sums = caption_losses(self.module, batch, self.settings.label_smoothing)
            loss = weighted_mean(sums, batch.num_tokens, self.settings.left_to_right_weight)
        return loss, _sums(sums, batch)

    def after_step(self) -> None:
        """Do nothing: no parameter has bounds."""

    @torch.inference_mode()
    def end_epoch(self, epoch: int, numbers_PK: Tensor) -> tuple[Record, Score | None]:
        """The epoch's row of the curves, named by `CURVES`, and its score; None if no captions were generated."""
        self.module.eval()
        total, left_to_right, right_to_left = self._mean_losses(numbers_PK)
        val_loss = self._validation_loss()
        number = epoch + 1
        is_time = number % self.settings.validate_every == 0 or number == self.settings.epochs
        score = self._score_captions() if is_time else None
        ranked = None if score is None else (score, -val_loss)
        step = number * self.data.plan.steps_per_epoch
        values = (number, step, total, left_to_right, right_to_left, val_loss, score)
        return dict(zip(CURVES, values, strict=True)), ranked

    def describe(self, record: Record) -> str:
        """A line of the log with the losses and the CIDEr of an epoch."""
        line = (
            f"epoch {record['epoch']} of {self.settings.epochs}: loss {record['train_loss']:.3f} "
            f"(left to right {record['train_left_to_right']:.3f}, right to left {record['train_right_to_left']:.3f}), "
            f"validation {record['val_loss']:.3f}"
        )
        return line + (f", CIDEr {record['val_cider']:.3f}" if record["val_cider"] is not None else "")

    def _autocast(self) -> torch.autocast:
        is_mixed = self.dtype != torch.float32
        # With autocast's cache, the gradients of a weight used twice would be added up in bf16, not in float32.
        return torch.autocast(self.device.type, self.dtype, enabled=is_mixed, cache_enabled=False)

    def _validation_loss(self) -> float:
        numbers = [torch.zeros(4, dtype=torch.float64, device=self.device)]  # for a rank that has no validation video
        for batch in self.data.val_batches(self.ranks.number):
            moved = batch.to(self.device)
            with self._autocast():
                numbers.append(_sums(caption_losses(self.module, moved, self.settings.label_smoothing), moved))
        return self._mean_losses(torch.stack(numbers))[0]

    def _mean_losses(self, numbers_PK: Tensor) -> tuple[float, float, float]:
        """Weighted loss, left-to-right loss and right-to-left loss, as means over the targets of all ranks."""
        forward, num_forward, backward, num_backward = self.ranks.sum(numbers_PK.sum(0)).tolist()
        left_to_right, right_to_left = forward / num_forward, backward / num_backward
        weight = self.settings.left_to_right_weight
        return weight * left_to_right + (1 - weight) * right_to_left, left_to_right, right_to_left

    def _score_captions(self) -> float:
        mine = self.data.val.ids[self.ranks.number :: self.ranks.num]
        settings = search_settings(self.settings.validation_beam, self.vocabulary.max_words, self.data.val_batch_size)
        found = caption_graphs(self.module, self.vocabulary, GraphList(self.data.graphs, mine), settings)
        parts = self.ranks.gather({i: " ".join(caption.words) for i, caption in zip(mine, found, strict=True)})
        return cider(self.references, {video_id: words for part in parts for video_id, words in part.items()})


def _sums(sums: LossSums, batch: CaptionBatch) -> Tensor:
    """Loss sum and target count left to right, then right to left, `[4]`; they add up over pieces and ranks."""
    counts = [is_target(tokens[:, 1:]).sum() for tokens in (batch.left_to_right, batch.right_to_left)]
    return torch.stack([sums[0].detach(), counts[0], sums[1].detach(), counts[1]]).double()


def search_settings(beam: int, max_words: int, batch_size: int) -> DecodingSettings:
    """Settings of the search for validation captions.

    Scores are plain, so that the settings of decoding never choose the weights.
    """
    return DecodingSettings(
        beam=beam,
        max_words=max_words,
        min_words=0,
        length_penalty=0.0,
        no_repeat_ngram=0,
        rerank="none",
        nucleus=None,
        batch_size=batch_size,
    )


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups with and without weight decay: matrices decay; biases and the vectors of norms do not."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def learning_rate_scale(step: int, warmup: int, num_steps: int) -> float:
    """Factor of the learning rate in a step (from 0): it rises for `warmup` steps, then falls to 0 at the end."""
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (num_steps - step) / max(1, num_steps - warmup))


def tokenised(
    references: Mapping[str, Sequence[str]], ids: Sequence[str], tokenizer: Tokenizer
) -> dict[str, list[str]]:
    """Split the references of some videos as captions are split for training; spaces separate the words."""
    words = iter(split_all([text for video_id in ids for text in references[video_id]], tokenizer))
    return {video_id: [" ".join(next(words)) for _ in references[video_id]] for video_id in ids}


def kept_by(records: Sequence[Record], kept_epoch: int) -> str:
    """What chose the epoch whose weights were kept: the column of its curves that is better than in all others.

    Args:
        records: The records of all epochs.
        kept_epoch: Number of the epoch, from 1.

    Returns:
        `val_cider`; `val_loss` where another epoch has the same CIDEr; `epoch` where no epoch has a CIDEr.
    """
    score = records[kept_epoch - 1]["val_cider"]
    if score is None:
        return "epoch"
    return "val_loss" if sum(record["val_cider"] == score for record in records) > 1 else "val_cider"


def cider(references: Mapping[str, list[str]], captions: Mapping[str, str]) -> float:
    """CIDEr of captions; they and the references are split into words as for training.

    This score only chooses the weights. Reported scores go through the Penn Treebank tokenizer, in `score_captions`.

    Args:
        references: References of each video, words separated by spaces.
        captions: One caption of each of these videos, words separated by spaces.
    """
    truth = {video_id: references[video_id] for video_id in captions}
    score, _ = Cider().compute_score(truth, {video_id: [text] for video_id, text in captions.items()})
    return float(score)
