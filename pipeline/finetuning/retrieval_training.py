"""CLIP4Clip learns which caption is of which video."""

import copy
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from pipeline.config import Clip4ClipSettings, FinetuneSettings
from pipeline.finetuning.retrieval import (
    MAX_LOGIT_SCALE,
    Item,
    VideoFrames,
    epoch_batches,
    make_optimizer,
    pool_frames,
    random_crops,
    rate_factor,
    retrieval_scores,
    sum_of_recalls,
    symmetric_loss,
    video_of_frames,
    whole_frames,
)
from pipeline.jobs import preemption
from pipeline.jobs.progress import say
from pipeline.jobs.training_run import Checkpoints
from pipeline.models.clip4clip import Clip4Clip, normalise, tokenize
from pipeline.models.precision import compute_device, compute_dtype

FRAMES_AT_ONCE = 256  # at evaluation


@dataclass(frozen=True)
class Split:
    """Videos of a split and their captions as ids of the vocabulary in use."""

    frames: VideoFrames
    tokens: dict[str, Tensor]  # of each video: [captions, L]

    @property
    def ids(self) -> list[str]:
        """The videos, in order."""
        return list(self.tokens)


def index_tokens(texts: dict[str, dict[str, list[str]]], max_words: int) -> tuple[dict[str, dict[str, Tensor]], Tensor]:
    """Tokenise the captions of the splits and renumber the tokens in use from 0.

    Training the embeddings of 49,408 tokens where captions use a few hundred would cost more than all else. The order
    is kept, so that the end of a text remains its highest id.

    Args:
        texts: By split and video.
        max_words: Tokens of a caption with its start and end.

    Returns:
        Tokens [captions, max_words] by split and video; and CLIP's ids of the tokens in use, ascending.
    """
    captions = [caption for videos in texts.values() for own in videos.values() for caption in own]
    used, renumbered = torch.unique(tokenize(captions, max_words), return_inverse=True)
    counts = [len(own) for videos in texts.values() for own in videos.values()]
    parts = iter(torch.split(renumbered, counts))
    return {name: {video_id: next(parts) for video_id in videos} for name, videos in texts.items()}, used


def train(
    module: Clip4Clip,
    used: Tensor,
    train_split: Split,
    val_split: Split,
    settings: Clip4ClipSettings,
    pool: ThreadPoolExecutor,
    progress: Checkpoints,
) -> tuple[list[dict[str, Any]], int]:
    """Train for all epochs that are left; leave the towers of the best in `module`, or without validation the last.

    Args:
        module: The towers, changed in place.
        used: CLIP's ids of the tokens in use; the embeddings of others stay as they are.
        train_split: To learn from.
        val_split: To choose the epoch by.
        settings: Training and precision.
        pool: Cuts the crops.
        progress: Where a killed run goes on.

    Returns:
        Loss and scores of each epoch; the number (from 1) of the one kept.
    """
    tuning = settings.finetune
    assert tuning is not None
    device = compute_device()
    dtype = training_dtype(settings.precision, device)
    whole = module.token_embedding
    module.token_embedding = nn.Embedding(len(used), whole.embedding_dim, _weight=whole.weight.detach()[used])
    module.to(device)
    optimizer = make_optimizer(module, tuning.lr, tuning.tower_lr_scale, tuning.weight_decay)
    num_steps = tuning.epochs * max(1, len(train_split.ids) // tuning.batch_size)
    schedule = LambdaLR(optimizer, lambda step: rate_factor(step, num_steps, tuning.warmup))
    epochs: list[dict[str, Any]] = []
    best_score, kept, state = -1.0, 0, module.state_dict()
    losses: list[Tensor] = []  # of the steps of this epoch
    if (saved := progress.read()) is not None:
        for part, name in ((module, "module"), (optimizer, "optimizer"), (schedule, "schedule")):
            part.load_state_dict(saved[name])
        epochs, losses = saved["epochs"], list(saved["losses"].to(device))
        best_score, kept, state = saved["best_score"], saved["kept"], saved["best"] or state
        say(f"finetune_clip4clip: continuing after step {len(losses)} of epoch {len(epochs) + 1}")

    def save() -> None:
        content = {
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "epochs": epochs,
            "losses": torch.stack(losses),
            "best_score": best_score,
            "kept": kept,
            "best": state if kept else None,  # before, it is the module's own
        }
        progress.write(content, f"after step {len(losses)} of epoch {len(epochs) + 1}")

    for epoch in range(len(epochs), tuning.epochs):
        with preemption.deferring_sigterm():
            for _ in train_epoch(module, optimizer, schedule, train_split, tuning, epoch, dtype, pool, losses):
                if progress.are_due:
                    save()
            save()  # the scores can be worked out again
        loss = float(torch.stack(losses).mean())
        losses.clear()
        record: dict[str, Any] = {"epoch": epoch + 1, "loss": round(loss, 6)}
        if val_split.ids:
            record["val"] = evaluate(module, val_split, dtype)
        say(f"finetune_clip4clip: {progress_line(record, tuning.epochs)}")
        score = sum_of_recalls(record["val"]) if val_split.ids else float(epoch)
        if score > best_score:
            best_score, kept, state = score, epoch + 1, copy.deepcopy(module.state_dict())
        epochs.append(record)
    module.load_state_dict(state)
    module.cpu()
    with torch.no_grad():
        whole.weight[used] = module.token_embedding.weight
    module.token_embedding = whole
    return epochs, kept


def training_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type to train in; `auto` is float32 on CPUs, where casting costs small towers more than bf16 gains."""
    return torch.float32 if precision == "auto" and device.type == "cpu" else compute_dtype(precision, device)


def progress_line(record: dict[str, Any], num_epochs: int) -> str:
    """Loss and recalls at 1 and 10 of an epoch, in words."""
    line = f"epoch {record['epoch']} of {num_epochs}, loss {record['loss']:.3f}"
    for direction, scores in record.get("val", {}).items():
        line += f", {direction} R@1 {scores['R@1']:.3f} R@10 {scores['R@10']:.3f} rank {scores['median_rank']:g}"
    return line


def train_epoch(
    module: Clip4Clip,
    optimizer: torch.optim.Optimizer,
    schedule: LambdaLR,
    split: Split,
    tuning: FinetuneSettings,
    epoch: int,
    dtype: torch.dtype,
    pool: ThreadPoolExecutor,
    losses: list[Tensor],
) -> Iterator[None]:
    """Go through the training videos once, after the steps that have losses; yields after each step."""
    module.train()
    num_captions = {video_id: len(tokens) for video_id, tokens in split.tokens.items()}
    plan = epoch_batches(num_captions, tuning.batch_size, tuning.seed, epoch)
    plan = itertools.islice(plan, len(losses), None)
    for items, images in cut_ahead(plan, split, module.image_size, tuning, pool):
        loss = batch_loss(module, items, images, split, dtype)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            module.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        losses.append(loss.detach())
        yield


def cut_ahead(
    plan: Iterator[list[Item]], split: Split, size: int, tuning: FinetuneSettings, pool: ThreadPoolExecutor
) -> Iterator[tuple[list[Item], list[Tensor]]]:
    """Yield each batch with its crops, cutting the next one meanwhile."""

    def cut(item: Item) -> Tensor:
        generator = np.random.default_rng(item.seed)  # its own, whatever thread cuts it
        return random_crops(split.frames[item.video_id], size, tuning.crop_scale, tuning.frames, generator)

    ahead: tuple[list[Item], list[Future[Tensor]]] | None = None
    for items in plan:
        submitted = (items, [pool.submit(cut, item) for item in items])
        if ahead is not None:
            yield ahead[0], [future.result() for future in ahead[1]]
        ahead = submitted
    if ahead is not None:
        yield ahead[0], [future.result() for future in ahead[1]]


def batch_loss(
    module: Clip4Clip, items: Sequence[Item], images: Sequence[Tensor], split: Split, dtype: torch.dtype
) -> Tensor:
    """Symmetric loss of a batch: one caption and the crops, bytes [F, C, S, S], of each video."""
    device = module.logit_scale.device
    tokens_BL = torch.stack([split.tokens[item.video_id][item.caption] for item in items])
    tokens_BL = tokens_BL[:, : int(tokens_BL.argmax(dim=1).max()) + 1]
    video_T = torch.from_numpy(video_of_frames([len(part) for part in images])).to(device)
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        frames_TD = module.encode_image(normalise(torch.cat(list(images)).to(device)))
        text_BD = module.encode_text(tokens_BL.to(device))
    videos_BD = pool_frames(frames_TD.float(), video_T, len(items))
    similarity_BB = module.logit_scale.exp() * F.normalize(text_BD.float(), dim=-1) @ videos_BD.T
    return symmetric_loss(similarity_BB)


@torch.inference_mode()
def evaluate(module: Clip4Clip, split: Split, dtype: torch.dtype) -> dict[str, dict[str, float]]:
    """Retrieval scores of a split: whole frames, all captions."""
    module.eval()
    device = module.logit_scale.device
    videos = []
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        for video_id in split.ids:
            images = whole_frames(split.frames[video_id], module.image_size)
            rows = [
                module.encode_image(normalise(part.to(device))).float() for part in torch.split(images, FRAMES_AT_ONCE)
            ]
            one = torch.zeros(len(images), dtype=torch.long, device=device)
            videos.append(pool_frames(torch.cat(rows), one, 1))
        parts = torch.split(torch.cat(list(split.tokens.values())), FRAMES_AT_ONCE)
        texts = [module.encode_text(part.to(device)).float() for part in parts]
    similarity_QB = F.normalize(torch.cat(texts), dim=-1) @ torch.cat(videos).T
    video_Q = torch.from_numpy(video_of_frames([len(split.tokens[video_id]) for video_id in split.ids]))
    return retrieval_scores(similarity_QB.cpu(), video_Q)
