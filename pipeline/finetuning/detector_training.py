"""Train a detector on the boxes that a generated data set knows, and measure it.

Shapes: C channels, H height, W width, N boxes of an image, P pieces of an epoch, K parts of the loss.
"""

import itertools
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from pipeline.artifact import Artifact
from pipeline.config import DetectorFinetuneSettings, DetectorSettings
from pipeline.errors import PipelineError
from pipeline.finetuning.average_precision import OVERLAP, Boxes, average_precision
from pipeline.finetuning.detection_examples import Example, Truth, epoch_batches, examples_of, mirror
from pipeline.jobs.progress import track
from pipeline.models.detection import find_in_videos
from pipeline.models.precision import compute_device, compute_dtype
from pipeline.training.task import Recipe, Record

CLIP_NORM = 10.0  # norm that longer gradients are cut to
VIDEOS_AT_ONCE = 32  # at evaluation
MOST_FOUND = 100  # detections of a frame that are kept at evaluation: torchvision's default
LEAST_SURE = 0.05  # the lowest score that they may have: torchvision's default
log = logging.getLogger(__name__)

STAGE = "finetune_detector"
LOSSES = ("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg")  # torchvision's names


class DetectorTraining:
    """The training of a detector, a task for `pipeline.training.loop`; it has no score, so the last weights are kept.

    Args:
        model: The detector, which is changed in place.
        examples: The frames to learn from, with their boxes.
        tuning: How the detector is trained.
        precision: "fp32", "bf16" or "auto". On CPUs "auto" means float32, because casting costs small networks more
            than bf16 gains.
    """

    def __init__(
        self, model: nn.Module, examples: Sequence[Example], tuning: DetectorFinetuneSettings, precision: str
    ) -> None:
        self.device = compute_device()
        on_cpu = precision == "auto" and self.device.type == "cpu"
        self.dtype = torch.float32 if on_cpu else compute_dtype(precision, self.device)
        self.module = self.learned = model.to(self.device)
        self.examples, self.tuning = examples, tuning
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, tuning.lr, weight_decay=tuning.weight_decay)
        self.num_batches = len(list(epoch_batches(examples, tuning.batch_size, tuning.seed, 1)))
        schedule = OneCycleLR(
            optimizer,
            tuning.lr,
            total_steps=tuning.epochs * self.num_batches + 1,  # the schedule also steps after the last batch
            pct_start=tuning.warmup,
            cycle_momentum=False,
        )
        # torchvision draws the anchors and proposals to learn from; the seed makes this repeatable.
        self.recipe = Recipe(STAGE, optimizer, schedule, tuning.seed, tuning.epochs, clip_norm=CLIP_NORM)

    def batches(self, epoch: int, num_done: int) -> Iterator[list[Example]]:
        """Batches of an epoch (from 0), without the first `num_done`; about half of the frames are mirrored."""
        plan = epoch_batches(self.examples, self.tuning.batch_size, self.tuning.seed, epoch + 1)
        left = itertools.islice(plan, num_done, None)
        label = f"{STAGE}: epoch {epoch + 1} of {self.tuning.epochs}, batches"
        for picks in track(left, self.num_batches - num_done, label):
            yield [mirror(self.examples[p.index]) if p.mirrored else self.examples[p.index] for p in picks]

    def loss(self, batch: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """The sum of the parts of the detector's loss, and the parts `[K]` in the order of `LOSSES`."""
        images = [example.image_CHW.to(self.device).float() / 255 for example in batch]
        targets = [{"boxes": one.box_N4.to(self.device), "labels": one.label_N.to(self.device)} for one in batch]
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            losses: dict[str, Tensor] = self.module(images, targets)
        parts = [losses[name] for name in LOSSES]
        return sum(parts, torch.zeros((), device=self.device)), torch.stack(parts)

    def after_step(self) -> None:
        """Do nothing: no parameter has bounds."""

    def end_epoch(self, epoch: int, numbers_PK: Tensor) -> tuple[Record, float | None]:
        """Mean losses of an epoch; there is no score.

        Raises:
            PipelineError: The loss is not finite.
        """
        columns_KP = numbers_PK.T.contiguous()
        means = {name: round(float(column_P.mean()), 6) for name, column_P in zip(LOSSES, columns_KP, strict=True)}
        loss = sum(means.values())
        if not math.isfinite(loss):
            rate = self.tuning.lr
            raise PipelineError(f"finetune: the loss of epoch {epoch + 1} is no number: lower `lr` (is {rate:g})")
        return {"epoch": epoch + 1, "loss": round(loss, 6), **means}, None

    def describe(self, record: Record) -> str:
        """A line of the log with the losses of an epoch."""
        told = ", ".join(f"{name.removeprefix('loss_')} {record[name]:.3f}" for name in LOSSES)
        return f"epoch {record['epoch']} of {self.tuning.epochs}, loss {record['loss']:.3f} ({told})"


def evaluate(
    model: nn.Module,
    source: Mapping[str, Artifact],
    truths: Mapping[str, Truth],
    ids: Sequence[str],
    classes: Sequence[str],
    settings: DetectorSettings,
) -> dict[str, Any]:
    """Measure the average precision of a detector on all sampled frames of some videos.

    Args:
        model: The detector; it is left in eval mode on the CPU.
        source: The `frames` artifact of each video.
        truths: The generator's truth of each video.
        ids: Ids of the videos.
        classes: Names of the classes; the first one has the label 1.
        settings: The size of images and the precision.

    Returns:
        `num_frames`; `overlap`, the least overlap of a right detection; `average_precision` by class, null for a class
        that no frame shows; and `mean_average_precision` of the other classes, null if there is none.
    """
    device = compute_device()
    model.eval().to(device)
    dtype = compute_dtype(settings.precision, device)
    found: list[Boxes] = []
    true: list[Boxes] = []
    groups = [ids[start : start + VIDEOS_AT_ONCE] for start in range(0, len(ids), VIDEOS_AT_ONCE)]
    for group in track(groups, len(groups), f"{STAGE}: groups of validation videos"):
        examples = [examples_of(source[video_id], video_id, truths[video_id], classes) for video_id in group]
        videos = [torch.stack([example.image_CHW for example in own]) for own in examples]
        for own in find_in_videos(model, videos, settings.size, MOST_FOUND, LEAST_SURE, dtype):
            found += [Boxes(one.box_N4, one.label_N, one.score_N) for one in own]
        true += [Boxes(one.box_N4, one.label_N, torch.ones(len(one.label_N))) for own in examples for one in own]
    model.cpu()
    by_class = {name: average_precision(found, true, label) for label, name in enumerate(classes, start=1)}
    known = [value for value in by_class.values() if value is not None]
    mean = sum(known) / len(known) if known else None
    log.info("%s: average precision at an overlap of %s: %s, mean %s", STAGE, OVERLAP, by_class, mean)
    return {
        "num_frames": len(true),
        "overlap": OVERLAP,
        "average_precision": by_class,
        "mean_average_precision": mean,
    }
