"""A detector learns boxes that are known."""

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from pipeline.artifact import Artifact
from pipeline.config import DetectorFinetuneSettings, DetectorSettings
from pipeline.errors import PipelineError
from pipeline.finetuning.average_precision import OVERLAP, Boxes, average_precision
from pipeline.finetuning.detection_examples import Example, Truth, epoch_batches, examples_of, mirror
from pipeline.jobs import preemption
from pipeline.jobs.progress import track
from pipeline.jobs.training_run import Checkpoints
from pipeline.models.detection import find_in_videos
from pipeline.models.precision import compute_device, compute_dtype

CLIP_NORM = 10.0  # longest gradient


VIDEOS_AT_ONCE = 32  # at evaluation


MOST_FOUND = 100  # detections of a frame and their scores, at evaluation, as torchvision's


LEAST_SURE = 0.05


def train(
    model: nn.Module,
    examples: Sequence[Example],
    tuning: DetectorFinetuneSettings,
    precision: str,
    progress: Checkpoints,
) -> list[dict[str, Any]]:
    """Train for all epochs, or those that are left; leaves the model in eval mode.

    Args:
        model: The detector, changed in place.
        examples: To learn from.
        tuning: How.
        precision: "fp32", "bf16" or "auto", which is float32 on CPUs, where casting costs small networks more than
            bf16 gains.
        progress: Where a killed run goes on.

    Returns:
        Mean loss of each epoch, and of which parts.
    """
    device = compute_device()
    on_cpu = precision == "auto" and device.type == "cpu"
    dtype = torch.float32 if on_cpu else compute_dtype(precision, device)
    model.to(device).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, tuning.lr, weight_decay=tuning.weight_decay)
    num_batches = len(list(epoch_batches(examples, tuning.batch_size, tuning.seed, 1)))
    total = tuning.epochs * num_batches + 1  # the last step is counted, too
    schedule = OneCycleLR(optimizer, tuning.lr, total_steps=total, pct_start=tuning.warmup, cycle_momentum=False)
    epochs: list[dict[str, Any]] = []
    parts: list[dict[str, Tensor]] = []  # losses of the steps of this epoch

    def save() -> None:
        content = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "epochs": epochs,
            "parts": {name: torch.stack([part[name] for part in parts]) for name in parts[0]},
            "generators": generator_states(device),
        }
        progress.write(content, f"after step {len(parts)} of epoch {len(epochs) + 1}")

    with torch.random.fork_rng():
        torch.manual_seed(tuning.seed)  # torchvision draws anchors and proposals to learn from
        if (saved := progress.read()) is not None:
            for part, name in ((model, "model"), (optimizer, "optimizer"), (schedule, "schedule")):
                part.load_state_dict(saved[name])
            epochs, columns = saved["epochs"], {name: column.to(device) for name, column in saved["parts"].items()}
            parts = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            restore_generators(saved["generators"])
            print(f"finetune_detector: continuing after step {len(parts)} of epoch {len(epochs) + 1}", file=sys.stderr)
        for epoch in range(len(epochs) + 1, tuning.epochs + 1):
            with preemption.deferring_sigterm():
                plan = epoch_batches(examples, tuning.batch_size, tuning.seed, epoch)
                left = itertools.islice(plan, len(parts), None)
                label = f"finetune_detector: epoch {epoch} of {tuning.epochs}, batches"
                for picks in track(left, num_batches - len(parts), label):
                    batch = [mirror(examples[pick.index]) if pick.mirrored else examples[pick.index] for pick in picks]
                    losses = batch_losses(model, batch, device, dtype)
                    optimizer.zero_grad()
                    sum(losses.values(), torch.zeros((), device=device)).backward()  # type: ignore[no-untyped-call]
                    nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
                    optimizer.step()
                    schedule.step()
                    parts.append({name: value.detach() for name, value in losses.items()})
                    if progress.are_due:
                        save()
                save()
            epochs.append(epoch_record(epoch, parts, tuning))
            parts.clear()
    model.eval().cpu()
    return epochs


def generator_states(device: torch.device) -> list[Tensor]:
    """States of torch's random generators: of the CPU, and of the GPU in use."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if device.type == "cuda" else [])]


def restore_generators(states: Sequence[Tensor]) -> None:
    """Go on drawing where the generators stood."""
    torch.set_rng_state(states[0])
    if len(states) > 1 and torch.cuda.is_available():
        torch.cuda.set_rng_state(states[1])


def epoch_record(epoch: int, parts: Sequence[dict[str, Tensor]], tuning: DetectorFinetuneSettings) -> dict[str, Any]:
    """Mean losses of an epoch, told and returned.

    Raises:
        PipelineError: They are no numbers.
    """
    means = {name: round(float(torch.stack([part[name] for part in parts]).mean()), 6) for name in parts[0]}
    loss = sum(means.values())
    if not math.isfinite(loss):
        raise PipelineError(f"finetune: the loss of epoch {epoch} is no number: lower `lr` (is {tuning.lr:g})")
    told = ", ".join(f"{name.removeprefix('loss_')} {value:.3f}" for name, value in means.items())
    print(f"finetune_detector: epoch {epoch} of {tuning.epochs}, loss {loss:.3f} ({told})", file=sys.stderr)
    return {"epoch": epoch, "loss": round(loss, 6), **means}


def batch_losses(
    model: nn.Module, batch: Sequence[Example], device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    """The parts of a detector's loss on a batch."""
    images = [example.image_CHW.to(device).float() / 255 for example in batch]
    targets = [{"boxes": example.box_N4.to(device), "labels": example.label_N.to(device)} for example in batch]
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        losses: dict[str, Tensor] = model(images, targets)
    return losses


def evaluate(
    model: nn.Module,
    source: Mapping[str, Artifact],
    truths: Mapping[str, Truth],
    ids: Sequence[str],
    classes: Sequence[str],
    settings: DetectorSettings,
) -> dict[str, Any]:
    """Average precision on all the sampled frames of videos.

    Returns:
        `num_frames`, `overlap`, `average_precision` by class, and their mean; null where no frame shows the class.
    """
    device = compute_device()
    model.to(device)
    dtype = compute_dtype(settings.precision, device)
    found: list[Boxes] = []
    true: list[Boxes] = []
    groups = [ids[start : start + VIDEOS_AT_ONCE] for start in range(0, len(ids), VIDEOS_AT_ONCE)]
    for group in track(groups, len(groups), "finetune_detector: groups of validation videos"):
        examples = [examples_of(source[video_id], video_id, truths[video_id], classes) for video_id in group]
        videos = [torch.stack([example.image_CHW for example in own]) for own in examples]
        for own in find_in_videos(model, videos, settings.size, MOST_FOUND, LEAST_SURE, dtype):
            found += [Boxes(one.box_N4, one.label_N, one.score_N) for one in own]
        true += [Boxes(one.box_N4, one.label_N, torch.ones(len(one.label_N))) for own in examples for one in own]
    model.cpu()
    by_class = {name: average_precision(found, true, label) for label, name in enumerate(classes, start=1)}
    known = [value for value in by_class.values() if value is not None]
    mean = sum(known) / len(known) if known else None
    print(f"finetune_detector: average precision at an overlap of {OVERLAP}: {by_class}, mean {mean}", file=sys.stderr)
    return {
        "num_frames": len(true),
        "overlap": OVERLAP,
        "average_precision": by_class,
        "mean_average_precision": mean,
    }
