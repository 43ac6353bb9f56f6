"""Text-video retrieval with mean pooling: batches, loss, rates and scores of CLIP4Clip's fine-tuning.

Luo et al. 2021, "CLIP4Clip: An Empirical Study of CLIP for End to End Video Clip Retrieval": section 3.3 (mean pooling,
the parameter-free head), 3.4 (symmetric cross-entropy) and 4.2 (rates and scores).

Shapes: B videos of a batch or of a split, T frames of a batch, F frames of a video, Q captions, C channels, H height, W
width, D embedding.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.artifact import Artifact
from pipeline.models.clip4clip import resize, square_of_shorter_side
from pipeline.video.stored_frames import frames_of

MAX_LOGIT_SCALE = math.log(100)
BYTES_IN_MEMORY = 10**9


class VideoFrames:
    """Frames of the videos of one split: held in memory if all fit in 1 GB, otherwise read at every access."""

    def __init__(self, artifacts: Sequence[Artifact], ids: Sequence[str]) -> None:
        """Open the frames.

        Args:
            artifacts: The `frames` artifacts of all shards.
            ids: Ids of the videos of the split, each in one of the artifacts.
        """
        wanted = set(ids)
        self.source = {video_id: artifact for artifact in artifacts for video_id in artifact.ids}
        num_bytes = 0
        for artifact in artifacts:
            pixels = np.diff(artifact.ptr("pixel"))
            num_bytes += 3 * sum(int(n) for video_id, n in zip(artifact.ids, pixels, strict=True) if video_id in wanted)
        self.cached = {video_id: self._read(video_id) for video_id in ids} if num_bytes <= BYTES_IN_MEMORY else {}

    def __getitem__(self, video_id: str) -> Tensor:
        """Frames of a video, bytes [F, H, W, C]."""
        return self.cached[video_id] if video_id in self.cached else self._read(video_id)

    def _read(self, video_id: str) -> Tensor:
        return frames_of(self.source[video_id].video(video_id, ["pixels", "size"]))


def whole_frames(frames_FHWC: Tensor, size: int) -> Tensor:
    """Cut the central square of each frame, which the tower sees at evaluation: bytes [F, C, size, size]."""
    return square_of_shorter_side(frames_FHWC.permute(0, 3, 1, 2), size)


def random_crops(
    frames_FHWC: Tensor, size: int, scale: tuple[float, float], max_frames: int, generator: np.random.Generator
) -> Tensor:
    """Draw frames of a video and cut a square out of each at random, which the tower sees in training.

    Args:
        frames_FHWC: Frames of the video, bytes.
        size: Side of the tower's input in pixels.
        scale: Least and largest area of a crop, as a share of the frame's central square. (1, 1) takes that square
            itself, as in CLIP4Clip.
        max_frames: Number of frames to draw, without repetition and in order; all are taken if there are no more.
        generator: Generator of the random numbers.

    Returns:
        Crops, bytes [min(F, max_frames), C, size, size].
    """
    num_frames, height, width, _ = frames_FHWC.shape
    chosen = np.sort(generator.permutation(num_frames)[:max_frames])
    if scale == (1.0, 1.0):
        return whole_frames(frames_FHWC[chosen], size)
    crops = []
    pixels_FHWC = frames_FHWC.numpy()  # whose views are made faster than a tensor's
    for frame in chosen:
        share = math.sqrt(generator.uniform(*scale))
        side = max(1, min(round(share * min(height, width)), height, width))
        top, left = generator.integers(height - side + 1), generator.integers(width - side + 1)
        crop_HWC = pixels_FHWC[frame : frame + 1, top : top + side, left : left + side]
        crops.append(resize(torch.from_numpy(crop_HWC).permute(0, 3, 1, 2), size, size))
    return torch.cat(crops)


@dataclass(frozen=True)
class Item:
    """A video of a batch with one of its captions.

    Attributes:
        video_id: The video.
        caption: Number of the caption among those of the video.
        seed: Seed of the video's crops.
    """

    video_id: str
    caption: int
    seed: tuple[int, int, int]


def epoch_batches(num_captions: dict[str, int], batch_size: int, seed: int, epoch: int) -> Iterator[list[Item]]:
    """Shuffle the videos of an epoch into full batches and draw one caption of each.

    A video occurs at most once. Videos that do not fill a batch are left out of the epoch, as in CLIP4Clip; if there
    are fewer videos than `batch_size`, they make one batch.

    Args:
        num_captions: Number of captions of each video.
        batch_size: Number of videos of a batch.
        seed: Decides, together with `epoch`, the order, the captions and the crops.
        epoch: Number of the epoch, from 0.

    Yields:
        The videos and captions of each batch.
    """
    generator = np.random.default_rng([seed, epoch])
    ids = list(num_captions)
    order = [ids[index] for index in generator.permutation(len(ids))]
    items = [
        Item(video_id, int(generator.integers(num_captions[video_id])), (seed, epoch, position))
        for position, video_id in enumerate(order)
    ]
    for start in range(0, max(1, len(items) // batch_size) * batch_size, batch_size):
        yield items[start : start + batch_size]


def pool_frames(frames_TD: Tensor, video_T: Tensor, num_videos: int) -> Tensor:
    """Mean pooling: normalise the frame embeddings, average those of each video, and normalise the means.

    Args:
        frames_TD: Embeddings of the frames of all videos, of any length.
        video_T: The video of each frame, in [0, num_videos).
        num_videos: Number of videos B.

    Returns:
        Embeddings of the videos [B, D], rows of length 1 (zeros for a video without frames).
    """
    sums_BD = frames_TD.new_zeros(num_videos, frames_TD.shape[1])
    # Sums are enough: the mean divides them by a positive number, which the normalisation that follows takes out again.
    return F.normalize(sums_BD.index_add(0, video_T, F.normalize(frames_TD, dim=-1)), dim=-1)


def symmetric_loss(similarity_BB: Tensor, own: slice = slice(None)) -> Tensor:
    """Mean of the cross-entropies text to video and video to text; caption i belongs to video i (section 3.4).

    Args:
        similarity_BB: Similarity of each caption (rows) with each video (columns) of a batch.
        own: The items to count. If slices cover the batch without overlap, their losses add up to that of the batch.
    """
    target = torch.arange(len(similarity_BB), device=similarity_BB.device)[own]
    to_video, to_text = (
        F.cross_entropy(rows[own], target, reduction="sum") / len(similarity_BB)
        for rows in (similarity_BB, similarity_BB.T)
    )
    return (to_video + to_text) / 2


def retrieval_scores(similarity_QB: Tensor, video_Q: Tensor) -> dict[str, dict[str, float]]:
    """Recall at 1, 5 and 10 (in [0, 1]) and median rank (from 1) in both directions.

    A caption's rank is that of its video among all videos. A video's rank is that of its best caption among the
    captions of other videos. A wrong answer with the same similarity ranks before the right one, so that an encoder
    that embeds everything alike gets the worst ranks.

    Args:
        similarity_QB: Similarity of each caption with each video.
        video_Q: The video of each caption; every video has at least one caption.

    Returns:
        `R@1`, `R@5`, `R@10` and `median_rank` of `text_to_video` and of `video_to_text`.
    """
    own_QB = F.one_hot(video_Q, similarity_QB.shape[1]).bool()
    own_Q = similarity_QB[own_QB]
    text_rank_Q = (similarity_QB >= own_Q[:, None]).sum(dim=1)
    best_B = similarity_QB.masked_fill(~own_QB, -math.inf).amax(dim=0)
    video_rank_B = 1 + ((similarity_QB >= best_B) & ~own_QB).sum(dim=0)
    return {"text_to_video": _rank_scores(text_rank_Q), "video_to_text": _rank_scores(video_rank_B)}


def _rank_scores(rank: Tensor) -> dict[str, float]:
    scores = {f"R@{k}": round(float((rank <= k).float().mean()), 6) for k in (1, 5, 10)}
    return scores | {"median_rank": float(np.median(rank.numpy()))}


def sum_of_recalls(scores: dict[str, dict[str, float]]) -> float:
    """The sum of the six recalls, by which the best epoch is chosen."""
    return sum(value for direction in scores.values() for name, value in direction.items() if name.startswith("R@"))


def rate_factor(step: int, num_steps: int, warmup: float) -> float:
    """Factor of the learning rate in a step (from 0): a linear warm-up over the share `warmup`, then a cosine to 0."""
    warm = round(warmup * num_steps)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, num_steps - warm)))


def make_optimizer(module: nn.Module, lr: float, tower_lr_scale: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW with CLIP4Clip's decay of the second moment (0.98).

    Args:
        module: The towers and `logit_scale`.
        lr: Learning rate of `logit_scale`, the only parameter outside the towers.
        tower_lr_scale: Factor of the learning rate for the towers.
        weight_decay: Weight decay of the towers' matrices; vectors and scalars have none.
    """
    towers = [parameter for name, parameter in module.named_parameters() if name != "logit_scale"]
    groups = [
        {"params": [p for p in towers if p.ndim >= 2], "lr": lr * tower_lr_scale, "weight_decay": weight_decay},
        {"params": [p for p in towers if p.ndim < 2], "lr": lr * tower_lr_scale, "weight_decay": 0.0},
        {"params": [module.get_parameter("logit_scale")], "lr": lr, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6, fused=True)


def video_of_frames(counts: Sequence[int]) -> NDArray[np.int64]:
    """The video of each frame (or caption), if video i has `counts[i]` of them: [2, 1] gives [0, 0, 1]."""
    return np.repeat(np.arange(len(counts)), counts)
