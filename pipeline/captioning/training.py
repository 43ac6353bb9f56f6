"""Training of the captioner under Lightning: optimiser, schedule, validation, choice of the model, curves.

Optimiser and schedule are AKG-sv's: AdamW without decay of biases and norms, warm-up and then a linear fall to 0, the
gradient's norm cut. The model kept is the one whose captions of the *validation* videos have the best CIDEr (Vedantam
et al., 2015); the test split is never looked at (the published code tests every epoch).
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.distributed as dist
from pycocoevalcap.cider.cider import Cider
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from pipeline.captioning.batches import (
    BatchesAhead,
    CaptionBatch,
    CaptionedVideos,
    EpochPlan,
    EpochSampler,
    PieceBatches,
    validation_pieces,
)
from pipeline.captioning.captioner import Captioner
from pipeline.captioning.generation import caption_graphs
from pipeline.captioning.graph_set import GraphList
from pipeline.captioning.loss import caption_losses, is_target, weighted_mean
from pipeline.config import DecodingSettings, TrainingSettings
from pipeline.jobs import preemption
from pipeline.jobs.training_run import LAST, SECONDS_BETWEEN
from pipeline.vocabulary import Vocabulary, split_words
from pipeline.weights.saving import save_weights

CURVES = ("epoch", "step", "train_loss", "train_left_to_right", "train_right_to_left", "val_loss", "val_cider")


class CaptionData(L.LightningDataModule):
    """Batches of the training and validation split.

    Args:
        graphs: Graphs by video id.
        plan: The training videos and how epochs are drawn of them.
        val: The validation videos.
    """

    def __init__(self, graphs: Any, plan: EpochPlan, val: CaptionedVideos) -> None:
        super().__init__()
        self.graphs = graphs
        self.plan = plan
        self.val = val
        self.num_done = 0  # pieces of the epoch that were done before a kill

    def process(self) -> int:
        """This process's number."""
        return int(self.trainer.global_rank) if self.trainer else 0

    @property
    def val_batch_size(self) -> int:
        """Videos that a process validates at once: as many as it trains on at once."""
        return -(-self.plan.batch_size // (self.plan.accumulate * self.plan.num_processes))

    def train_dataloader(self) -> BatchesAhead:
        """Batches of this process; the sampler draws each epoch anew."""
        sampler = EpochSampler(self.plan, self.process(), self._place)
        return BatchesAhead(PieceBatches(self.plan.videos, self.graphs), sampler)

    def _place(self) -> tuple[int, int]:
        return (int(self.trainer.current_epoch) if self.trainer else 0), self.num_done

    def val_dataloader(self) -> BatchesAhead:
        """This process's share of the validation videos, each once."""
        size, plan = self.val_batch_size, self.plan
        pieces = validation_pieces(self.val, size, plan.captions_per_video, self.process(), plan.num_processes)
        return BatchesAhead(PieceBatches(self.val, self.graphs), pieces)


class CaptionerTraining(L.LightningModule):
    """The training of one captioner.

    Args:
        model: The captioner.
        vocabulary: Its words.
        data: Its batches.
        references: Captions of the validation videos, as written.
        settings: How it is trained.
        seed: Of the run.
        best: Where the best weights go.
        description: What that file says about the model.

    Attributes:
        curves: A row an epoch, as named by `CURVES`; `val_cider` is None where captions were not generated.
        best_cider: CIDEr of the weights kept, and the epoch they are of.
    """

    def __init__(
        self,
        model: Captioner,
        vocabulary: Vocabulary,
        data: CaptionData,
        references: Mapping[str, Sequence[str]],
        settings: TrainingSettings,
        seed: int,
        best: Path,
        description: dict[str, str],
    ) -> None:
        super().__init__()
        self.model = model
        self.vocabulary = vocabulary
        self.data = data
        self.references = references
        self.settings = settings
        self.seed = seed
        self.best = best
        self.description = description
        self.curves: list[dict[str, float | None]] = []
        self.best_cider = (-1.0, -1)
        self._started = self._saved = 0.0
        self._all: Any = None
        self._train_sums: list[Tensor] = []
        self._val_sums: list[Tensor] = []
        self._val_loss = 0.0
        self._val_cider: float | None = None

    def configure_optimizers(self) -> Any:
        """AdamW, stepped every batch through warm-up and linear fall."""
        optimizer = AdamW(decay_groups(self.model, self.settings.weight_decay), lr=self.settings.lr, foreach=True)
        num_steps = self.settings.epochs * self.data.plan.steps_per_epoch
        warmup = max(1, round(self.settings.warmup * num_steps))
        schedule = LambdaLR(optimizer, lambda step: learning_rate_scale(step, warmup, num_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """A run that was killed when it had stopped early stays stopped."""
        preemption.reinstall_handler()  # Lightning has put its own, which sends messages in the midst of others
        if dist.is_initialized():
            self._all = dist.new_group(backend="gloo")  # of CPUs: to ask must not mean to wait for a GPU
        self._started = self._saved = time.monotonic()
        self._train_sums = [sums.to(self.device) for sums in self._train_sums]  # of a checkpoint
        if self.global_step and self.trainer.is_global_zero:
            step = self.data.num_done // self.data.plan.accumulate
            print(f"continuing after step {step} of epoch {self.current_epoch + 1}", file=sys.stderr)
        if self._has_stopped():
            self.trainer.should_stop = True

    def on_train_epoch_start(self) -> None:
        """Forget the sums of the epoch before, of which there is a checkpoint."""
        self._started = self._saved = time.monotonic()
        self._train_sums = []
        if self._any(preemption.sigterm_received()):
            preemption.stop_if_requested(f"after epoch {self.current_epoch}", anyway=True)

    def training_step(self, batch: CaptionBatch, batch_idx: int) -> Tensor:
        """The loss whose mean over processes and accumulations is the loss of the step."""
        # Dropout is seeded by place, so that a resumed run goes on as if it had never been killed.
        place = [self.seed, self.current_epoch, batch_idx, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]))
        sums = caption_losses(self.model, batch, self.settings.label_smoothing)
        self._train_sums.append(self._counted(sums, batch))
        plan = self.data.plan
        loss = weighted_mean(sums, batch.num_tokens, self.settings.left_to_right_weight)
        return loss * (plan.accumulate * plan.num_processes)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Save a checkpoint between steps now and then, and when SIGTERM has come; all processes after the same step.

        After the last step the validation comes, and the checkpoint of the whole epoch.
        """
        num_done = batch_idx + 1
        plan = self.data.plan
        if num_done % plan.accumulate or num_done == plan.steps_per_epoch * plan.accumulate:
            return
        told_to_stop = self._any(preemption.sigterm_received())
        if told_to_stop or self._any(time.monotonic() - self._saved > SECONDS_BETWEEN):
            self.data.num_done = num_done
            self.trainer.save_checkpoint(self.best.with_name(LAST))
            self.data.num_done, self._saved = 0, time.monotonic()
        if told_to_stop:
            step = num_done // plan.accumulate
            preemption.stop_if_requested(f"after step {step} of epoch {self.current_epoch + 1}", anyway=True)

    def _any(self, here: bool) -> bool:
        """Whether something is so in any of the processes."""
        if not dist.is_initialized():
            return here
        flag = torch.tensor([here], dtype=torch.uint8)
        dist.all_reduce(flag, dist.ReduceOp.MAX, group=self._all)
        return bool(flag)

    def on_validation_epoch_start(self) -> None:
        """Forget the sums of the validation before."""
        self._val_sums = []

    def validation_step(self, batch: CaptionBatch) -> None:
        """Add up the loss of this process's videos."""
        self._val_sums.append(self._counted(caption_losses(self.model, batch, self.settings.label_smoothing), batch))

    def on_validation_epoch_end(self) -> None:
        """Score the captions of the validation videos when it is time, and keep the weights if they are the best."""
        self._val_loss = self._mean_losses(self._val_sums)[0]
        self._val_cider = None
        epoch = self.current_epoch + 1
        if epoch % self.settings.validate_every and epoch != self.settings.epochs:
            return
        self._val_cider = self._score_captions()
        if self._val_cider > self.best_cider[0]:
            self.best_cider = (self._val_cider, epoch)
            if self.trainer.is_global_zero:
                save_weights(self.model.state_dict(), self.best, self.description)

    def on_train_epoch_end(self) -> None:
        """Add a row to the curves, and stop when captions have not become better for long."""
        total, left_to_right, right_to_left = self._mean_losses(self._train_sums)
        values = (self.current_epoch + 1, self.global_step, total, left_to_right, right_to_left)
        row = dict(zip(CURVES, (*values, self._val_loss, self._val_cider), strict=True))
        self.curves.append(row)
        self.data.num_done = 0
        if self.trainer.is_global_zero:
            seconds = time.monotonic() - self._started
            print(epoch_line(row, self.settings.epochs, seconds), file=sys.stderr, flush=True)
        if self.logger:
            self.logger.log_metrics({k: v for k, v in row.items() if v is not None}, step=self.global_step)
        if self._has_stopped():
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Curves and choice go with the weights."""
        checkpoint["curves"] = self.curves
        checkpoint["best_cider"] = self.best_cider
        checkpoint["num_done"] = self.data.num_done
        checkpoint["train_sums"] = self._gathered(self._train_sums) if self.data.num_done else []

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take curves and choice up again."""
        self.curves = checkpoint["curves"]
        self.best_cider = tuple(checkpoint["best_cider"])
        self.data.num_done = checkpoint["num_done"]
        if self.data.num_done:  # in the middle of an epoch, whose start is not told again
            parts = checkpoint["train_sums"][self.global_rank :: self.trainer.world_size]  # there may be fewer now
            self._train_sums = [sums for part in parts for sums in part]

    def _gathered(self, sums: list[Tensor]) -> list[Tensor]:
        """The sums of every process, `[pieces, 4]` each: they must be added up in the order of an undisturbed run."""
        mine = torch.stack(sums).cpu()
        if not dist.is_initialized():
            return [mine]
        parts = [torch.empty_like(mine) for _ in range(self.trainer.world_size)]
        dist.all_gather(parts, mine, group=self._all)
        return parts

    def _has_stopped(self) -> bool:
        scored = [row for row in self.curves if row["val_cider"] is not None]
        if not scored:
            return False
        since = [row for row in scored if row["epoch"] is not None and row["epoch"] > self.best_cider[1]]
        return len(since) >= self.settings.patience

    def _counted(self, sums: Any, batch: CaptionBatch) -> Tensor:
        """Loss sums and target counts of a batch: `[4]`, left to right first."""
        counts = [is_target(tokens[:, 1:]).sum() for tokens in (batch.left_to_right, batch.right_to_left)]
        return torch.stack([sums[0].detach(), counts[0], sums[1].detach(), counts[1]]).double()

    def _mean_losses(self, sums: list[Tensor]) -> tuple[float, float, float]:
        """Loss, left to right and right to left, over the targets of all processes."""
        total = torch.stack(sums).sum(0) if sums else torch.zeros(4, dtype=torch.float64, device=self.device)
        if dist.is_initialized():
            dist.all_reduce(total)
        forward, num_forward, backward, num_backward = total.tolist()
        left_to_right, right_to_left = forward / num_forward, backward / num_backward
        weight = self.settings.left_to_right_weight
        return weight * left_to_right + (1 - weight) * right_to_left, left_to_right, right_to_left

    def _score_captions(self) -> float:
        mine = self.data.val.ids[self.global_rank :: self.trainer.world_size]
        settings = search_settings(self.settings.validation_beam, self.vocabulary.max_words, self.data.val_batch_size)
        found = caption_graphs(self.model, self.vocabulary, GraphList(self.data.graphs, mine), settings)
        captions = {video_id: caption.text for video_id, caption in zip(mine, found, strict=True)}
        if dist.is_initialized():
            parts: list[Any] = [None] * self.trainer.world_size
            dist.all_gather_object(parts, captions)
            captions = {video_id: text for part in parts for video_id, text in part.items()}
        return cider({video_id: self.references[video_id] for video_id in self.data.val.ids}, captions)


def search_settings(beam: int, max_words: int, batch_size: int) -> DecodingSettings:
    """How validation captions are searched for: plain scores, so that settings of decoding never choose the weights."""
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
    """Parameters with and without weight decay: matrices decay; biases and the vectors of norms do not."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def learning_rate_scale(step: int, warmup: int, num_steps: int) -> float:
    """Share of the learning rate in a step (from 0): up in `warmup` steps, then down to 0 after the last one."""
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (num_steps - step) / max(1, num_steps - warmup))


def cider(references: Mapping[str, Sequence[str]], captions: Mapping[str, str]) -> float:
    """CIDEr of captions, both sides split into words as for training.

    This chooses a model; reported scores go through the Penn Treebank tokenizer, in `score_captions`.
    """
    truth = {video_id: [" ".join(split_words(text)) for text in references[video_id]] for video_id in captions}
    score, _ = Cider().compute_score(truth, {video_id: [text] for video_id, text in captions.items()})
    return float(score)


def epoch_line(row: Mapping[str, float | None], num_epochs: int, seconds: float) -> str:
    """One epoch in a line of the log."""
    line = (
        f"train_captioner: epoch {row['epoch']} of {num_epochs}: loss {row['train_loss']:.3f} "
        f"(left to right {row['train_left_to_right']:.3f}, right to left {row['train_right_to_left']:.3f}), "
        f"validation {row['val_loss']:.3f}"
    )
    return line + (f", CIDEr {row['val_cider']:.3f}" if row["val_cider"] is not None else "") + f", {seconds:.1f} s"
