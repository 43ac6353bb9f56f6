"""Measure a training step of CLIP4Clip on batches of the demo's sizes, against the step before and this machine's rate.

Run: `python -m benchmarks.retrieval_step`. Videos are noise: 8 frames of 64 x 85 pixels, and captions of 4 to 12 words.
The towers and the batch are those of config.yaml. The step before computed the towers as open_clip does (channels come
first, every place asks in the pooling attention, every token passes the last block of the text tower), and ran AdamW
operation after operation. Both start from equal weights and take turns. Crops are made before, and compared in a row
of their own; the stage makes them in threads, during the step.

Shapes: B captions or images, L tokens, M width of the text tower, D embedding, F frames, C channels, H height, W width,
S side of a crop.
"""

import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import cast

import numpy as np
import torch
import yaml
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import Row, main, matmul_rate, take_turns
from pipeline.config import Clip4ClipSettings
from pipeline.finetuning.retrieval import VideoFrames, random_crops
from pipeline.finetuning.retrieval_training import RetrievalTraining, Share, Split, index_tokens
from pipeline.jobs.rank_group import Ranks
from pipeline.models.clip4clip import Clip4Clip, load_pretrained

FRAMES, HEIGHT, WIDTH = 8, 64, 85
NUM_WORDS, NUM_BATCHES = 54, 4
STEPS_AN_EPOCH = 75  # of the demo: the warm-up is as long as its
ENCODER = yaml.safe_load((Path(__file__).parents[1] / "config.yaml").read_text())["encoders"]["clip"]


class PlainTowers(Clip4Clip):
    """The same function as `Clip4Clip`, computed as open_clip does."""

    def encode_image(self, images_BCHW: Tensor) -> Tensor:
        """Embeddings of images [B, D]; channels came first in memory, as crops were cut then."""
        return cast("Tensor", self.visual(images_BCHW.contiguous()))

    def encode_text(self, tokens_BL: Tensor) -> Tensor:
        """Embeddings of captions [B, D]."""
        num_rows, num_tokens = tokens_BL.shape
        x_BLM = self.token_embedding(tokens_BL) + self.positional_embedding[:num_tokens]
        mask_LL = torch.full((num_tokens, num_tokens), -math.inf).triu(1)
        x_BLM = self.ln_final(self.transformer(x_BLM, attn_mask=mask_LL))
        end_BM = x_BLM[torch.arange(num_rows), tokens_BL.argmax(dim=-1)]
        return cast("Tensor", end_BM @ self.text_projection)


class Step:
    """A training step that can be repeated, on each of some batches in turn.

    Args:
        task: The training.
        batches: The batches, whose crops are made.
    """

    def __init__(self, task: RetrievalTraining, batches: Sequence[Share]) -> None:
        self.task = task
        self.batches = cycle(batches)
        task.module.train()

    def __call__(self) -> float:
        """Do the step; return its loss."""
        loss, numbers = self.task.loss(next(self.batches))
        loss.backward()  # type: ignore[no-untyped-call]
        self.task.recipe.optimizer.step()
        self.task.recipe.optimizer.zero_grad()
        self.task.recipe.schedule.step()
        self.task.after_step()
        return float(numbers.detach())


def plain_crops(
    frames_FHWC: Tensor, size: int, scale: tuple[float, float], max_frames: int, generator: np.random.Generator
) -> Tensor:
    """Crops of a video as `random_crops` cuts them, [F, C, S, S], by slices of tensors and general resizing."""
    num_frames, height, width, _ = frames_FHWC.shape
    crops = []
    for frame in np.sort(generator.permutation(num_frames)[:max_frames]):
        side = max(1, min(round(math.sqrt(generator.uniform(*scale)) * min(height, width)), height, width))
        top, left = generator.integers(height - side + 1), generator.integers(width - side + 1)
        crop = frames_FHWC[frame, top : top + side, left : left + side].permute(2, 0, 1)[None]
        resized = F.interpolate(crop, (size, size), mode="bicubic", antialias=True)
        crops.append(resized[..., 0:size, 0:size])
    return torch.cat(crops)


def both_ways(settings: Clip4ClipSettings) -> tuple[Step, Step]:
    """The step as the stage does it, and the step before, from equal weights and on equal batches."""
    assert settings.finetune is not None
    epochs = settings.finetune.epochs * STEPS_AN_EPOCH // NUM_BATCHES
    tuning = settings.finetune.model_copy(update={"epochs": epochs})
    settings = settings.model_copy(update={"finetune": tuning})
    generator = np.random.default_rng(0)
    ids = [f"video{number}" for number in range(NUM_BATCHES * tuning.batch_size)]
    pixels = generator.integers(0, 256, (len(ids), FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
    frames = {video_id: torch.from_numpy(own) for video_id, own in zip(ids, pixels, strict=True)}
    words = [f"{first}{second}" for first in "abcdefghi" for second in "abcdef"][:NUM_WORDS]
    texts = {i: [" ".join(generator.choice(words, generator.integers(4, 13))) for _ in range(2)] for i in ids}
    tokens, used = index_tokens({"train": texts}, tuning.max_words)
    split = Split(cast("VideoFrames", frames), tokens["train"])
    nothing = Split(cast("VideoFrames", {}), {})
    with ThreadPoolExecutor(1) as pool:
        tasks = []
        for towers in (Clip4Clip, PlainTowers):
            module, _ = load_pretrained("random", settings.arch, settings.seed)
            module.__class__ = towers
            tasks.append(RetrievalTraining(module, used, split, nothing, settings, pool, Ranks(0, 1)))
        batches = list(tasks[0].batches(0, 0))
    for group in tasks[1].recipe.optimizer.param_groups:
        group["fused"] = False
    return Step(tasks[0], batches), Step(tasks[1], batches)


def rows(rounds: int) -> list[Row]:
    """Measure the step, and the crops of its batch."""
    settings = Clip4ClipSettings.model_validate_json(json.dumps(ENCODER))
    assert settings.finetune is not None
    tuning, rate = settings.finetune, matmul_rate(torch.float32)
    ours, before = both_ways(settings)
    with FlopCounterMode(display=False) as counter:
        ours()
    gflop = counter.get_total_flops() / 1e9
    step, plain = take_turns([ours, before], 4 * rounds)
    rate = max(rate, matmul_rate(torch.float32))
    frames = [ours.task.train_split.frames[video_id] for video_id in ours.task.train_split.ids[: tuning.batch_size]]

    def crop(cut: Callable[..., Tensor]) -> None:
        for seed, video in enumerate(frames):
            cut(video, ours.task.module.image_size, tuning.crop_scale, tuning.frames, np.random.default_rng(seed))

    crops, plain_cut = take_turns([lambda: crop(random_crops), lambda: crop(plain_crops)], 4 * rounds)
    now = f"{step.wall:.0f} ms (processor {step.cpu:.0f} ms)"
    peer = f"before: {plain.wall:.0f} ms (processor {plain.cpu:.0f} ms)"
    share = gflop / step.wall * 1000 / rate
    return [
        Row("CLIP4Clip training step", now, peer, plain.wall / step.wall, 2),
        Row("CLIP4Clip training step", f"{gflop:.1f} GFLOP", f"matrix products: {rate:.0f} GFLOP/s", share, unit="%"),
        Row("CLIP4Clip crops", f"{crops.wall:.1f} ms", f"before: {plain_cut.wall:.1f} ms", plain_cut.wall / crops.wall),
    ]


if __name__ == "__main__":
    raise SystemExit(main("retrieval_step", __doc__, rows))
