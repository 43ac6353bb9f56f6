"""Fine-tune CLIP4Clip to find the caption that belongs to a video, and the video that belongs to a caption.

Each rank embeds its share of a batch, and the features of all ranks are gathered. The loss is therefore that of the
whole batch, however many ranks share it.

Shapes: B videos of a batch or of the validation split, O videos of a rank's share, T frames of that share, F frames of
a video, Q captions, L tokens, C channels, S side of the tower's input, D embedding, P steps, K = 1 number of a step.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from pipeline.config import Clip4ClipSettings, FinetuneSettings
from pipeline.errors import PipelineError
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
from pipeline.jobs.rank_group import Ranks
from pipeline.models.clip4clip import Clip4Clip, normalise, tokenize
from pipeline.models.precision import compute_device, compute_dtype
from pipeline.training.gathering import gather_rows
from pipeline.training.task import Recipe, Record, Score

FRAMES_AT_ONCE = 256  # frames of a video, and captions, that a tower takes at once at evaluation

Input = TypeVar("Input")


@dataclass(frozen=True)
class Split:
    """Videos of a split and the tokens of their captions, numbered as `index_tokens` does.

    Attributes:
        frames: Frames of the videos.
        tokens: Tokens of the captions of each video, `[captions, L]`.
    """

    frames: VideoFrames
    tokens: dict[str, Tensor]

    @property
    def ids(self) -> list[str]:
        """Ids of the videos, in order."""
        return list(self.tokens)


@dataclass(frozen=True)
class Share:
    """A batch, and the part of it that this rank embeds.

    Attributes:
        items: The videos and captions of the whole batch.
        own: Places of the items that this rank embeds.
        images: Crops of the frames of these items, bytes `[F, C, S, S]` for each item.
    """

    items: list[Item]
    own: slice
    images: list[Tensor]


def index_tokens(texts: dict[str, dict[str, list[str]]], max_words: int) -> tuple[dict[str, dict[str, Tensor]], Tensor]:
    """Tokenise the captions of the splits and renumber the tokens in use from 0.

    CLIP has 49,408 tokens, of which captions may use a few hundred; training the embeddings of all would cost more than
    all else. The order of the tokens is kept, so that the end of a text still has its highest id.

    Args:
        texts: Captions by split and video.
        max_words: Number of tokens of a caption, its start and end included; longer captions are cut.

    Returns:
        Tokens [captions, max_words] by split and video; and CLIP's ids of the tokens in use, ascending.
    """
    captions = [caption for videos in texts.values() for own in videos.values() for caption in own]
    used, renumbered = torch.unique(tokenize(captions, max_words), return_inverse=True)
    counts = [len(own) for videos in texts.values() for own in videos.values()]
    parts = iter(torch.split(renumbered, counts))
    return {name: {video_id: next(parts) for video_id in videos} for name, videos in texts.items()}, used


def check_shares(num_videos: int, batch_size: int, num_ranks: int) -> None:
    """Raise PipelineError if a rank would be without a video in a batch."""
    size = min(num_videos, batch_size)
    if size < num_ranks:
        raise PipelineError(
            f"finetune: {num_videos} captioned training videos and `batch_size: {batch_size}` make batches of {size}, "
            f"fewer than {num_ranks} processes; raise `batch_size` or use fewer GPUs"
        )


class RetrievalTraining:
    """The fine-tuning of the two towers, a task for `pipeline.training.loop`.

    The score of an epoch is the sum of the recalls on the validation split and, where recalls are equal, the loss.
    During the training the text tower has only the embeddings of the tokens in use; `whole_towers` puts them back among
    all the others.

    Args:
        module: The towers, which are changed in place.
        used: CLIP's ids of the tokens in use; the embeddings of other tokens stay as they are.
        train_split: The videos and captions to learn from.
        val_split: The videos and captions to choose the best epoch by; it may be empty.
        settings: Training and precision; `finetune` must not be None.
        pool: Threads that cut the crops.
        ranks: The processes that share the work.
    """

    def __init__(
        self,
        module: Clip4Clip,
        used: Tensor,
        train_split: Split,
        val_split: Split,
        settings: Clip4ClipSettings,
        pool: ThreadPoolExecutor,
        ranks: Ranks,
    ) -> None:
        assert settings.finetune is not None
        self.tuning = tuning = settings.finetune
        self.used, self.train_split, self.val_split = used, train_split, val_split
        self.pool, self.ranks = pool, ranks
        self.device = compute_device()
        self.dtype = training_dtype(settings.precision, self.device)
        self._all_tokens = whole = module.token_embedding
        module.token_embedding = nn.Embedding(len(used), whole.embedding_dim, _weight=whole.weight.detach()[used])
        self.module: Clip4Clip = module.to(self.device)
        self.learned = self.module
        optimizer = make_optimizer(module, tuning.lr, tuning.tower_lr_scale, tuning.weight_decay)
        num_steps = tuning.epochs * max(1, len(train_split.ids) // tuning.batch_size)
        schedule = LambdaLR(optimizer, lambda step: rate_factor(step, num_steps, tuning.warmup))
        self.recipe = Recipe("finetune_clip4clip", optimizer, schedule, tuning.seed, tuning.epochs)

    def batches(self, epoch: int, num_done: int) -> Iterator[Share]:
        """Batches of an epoch (from 0), without the first `num_done`, with the crops of this rank's share."""
        num_captions = {video_id: len(tokens) for video_id, tokens in self.train_split.tokens.items()}
        plan = epoch_batches(num_captions, self.tuning.batch_size, self.tuning.seed, epoch)
        shares = ((items, own_part(len(items), self.ranks)) for items in itertools.islice(plan, num_done, None))
        return cut_ahead(shares, self.train_split, self.module.image_size, self.tuning, self.pool)

    def loss(self, batch: Share) -> tuple[Tensor, Tensor]:
        """This rank's share of the symmetric loss of the whole batch: a scalar to learn from, and `[1]` to record."""
        tokens_BL = torch.stack([self.train_split.tokens[item.video_id][item.caption] for item in batch.items])
        tokens_BL = tokens_BL[:, : int(tokens_BL.argmax(dim=1).max()) + 1]
        video_T = torch.from_numpy(video_of_frames([len(part) for part in batch.images])).to(self.device)
        with self._autocast():
            frames_TD = self.module.encode_image(normalise(torch.cat(batch.images).to(self.device)))
            text_OD = self.module.encode_text(tokens_BL[batch.own].to(self.device))  # of this rank's captions alone
        videos_OD = pool_frames(frames_TD.float(), video_T, len(batch.images))
        text_BD = gather_rows(text_OD.float(), batch.own, len(batch.items), self.ranks)
        videos_BD = gather_rows(videos_OD, batch.own, len(batch.items), self.ranks)
        similarity_BB = self.module.logit_scale.exp() * F.normalize(text_BD, dim=-1) @ videos_BD.T
        loss = symmetric_loss(similarity_BB, batch.own)
        return loss, loss[None]

    def after_step(self) -> None:
        """Bound the scale of the similarities by CLIP's limit of 100."""
        with torch.no_grad():
            self.module.logit_scale.clamp_(max=MAX_LOGIT_SCALE)

    def end_epoch(self, epoch: int, numbers_PK: Tensor) -> tuple[Record, Score | None]:
        """Mean loss of the steps, retrieval scores under `val`, the loss `val_loss`, and the epoch's score.

        The score is the sum of recalls and, where recalls are equal, the loss. Without validation videos there are no
        retrieval scores, and the score is None. It is None for a single video, too, which is always found.
        """
        loss = float(self.ranks.sum(numbers_PK)[:, 0].mean())
        record: Record = {"epoch": epoch + 1, "loss": round(loss, 6)}
        if not self.val_split.ids:
            return record, None
        record["val"], val_loss = self._evaluate()
        record["val_loss"] = round(val_loss, 6)
        is_told = len(self.val_split.ids) > 1
        return record, (sum_of_recalls(record["val"]), -val_loss) if is_told else None

    def describe(self, record: Record) -> str:
        """A line of the log with the loss of an epoch and, if there are any, recalls at 1 and 10 and median ranks."""
        line = f"epoch {record['epoch']} of {self.tuning.epochs}, loss {record['loss']:.3f}"
        for direction, scores in record.get("val", {}).items():
            line += f", {direction} R@1 {scores['R@1']:.3f} R@10 {scores['R@10']:.3f} rank {scores['median_rank']:g}"
        return line

    def whole_towers(self) -> Clip4Clip:
        """The trained towers on the CPU, with the embeddings of all tokens."""
        module = self.module
        module.cpu()
        with torch.no_grad():
            self._all_tokens.weight[self.used] = module.token_embedding.weight
        module.token_embedding = self._all_tokens
        return module

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    @torch.inference_mode()
    def _evaluate(self) -> tuple[dict[str, dict[str, float]], float]:
        """Retrieval scores and loss of the validation split: the central square of every frame, and all captions.

        The loss is the cross-entropy of each caption over all videos.

        Each rank embeds its share.
        """
        self.module.eval()
        split = self.val_split
        texts = torch.split(torch.cat(list(split.tokens.values())), FRAMES_AT_ONCE)
        videos_BD = torch.cat(self._on_all_ranks(self._embed_video, split.ids))
        texts_QD = torch.cat(self._on_all_ranks(self._embed_texts, texts))
        similarity_QB = F.normalize(texts_QD, dim=-1) @ videos_BD.T
        video_Q = torch.from_numpy(video_of_frames([len(split.tokens[video_id]) for video_id in split.ids]))
        loss = F.cross_entropy(self.module.logit_scale.exp() * similarity_QB, video_Q.to(self.device))
        return retrieval_scores(similarity_QB.cpu(), video_Q), float(loss)

    def _on_all_ranks(self, embed: Callable[[Input], Tensor], inputs: Sequence[Input]) -> list[Tensor]:
        """The results of `embed` for all inputs, in order, on this rank's device; each rank computes its share."""
        own = [embed(one).cpu() for one in inputs[self.ranks.number :: self.ranks.num]]
        shares = self.ranks.gather(own)
        return [shares[place % len(shares)][place // len(shares)].to(self.device) for place in range(len(inputs))]

    def _embed_video(self, video_id: str) -> Tensor:
        images = whole_frames(self.val_split.frames[video_id], self.module.image_size)
        with self._autocast():
            rows = [
                self.module.encode_image(normalise(part.to(self.device))).float()
                for part in torch.split(images, FRAMES_AT_ONCE)
            ]
        return pool_frames(torch.cat(rows), torch.zeros(len(images), dtype=torch.long, device=self.device), 1)

    def _embed_texts(self, tokens_QL: Tensor) -> Tensor:
        with self._autocast():
            text_QD: Tensor = self.module.encode_text(tokens_QL.to(self.device))
        return text_QD.float()


def own_part(num_items: int, ranks: Ranks) -> slice:
    """Places of the items of a batch that this rank embeds; ranks have shares as equal as can be, in order."""
    bounds = [number * num_items // ranks.num for number in (ranks.number, ranks.number + 1)]
    return slice(*bounds)


def training_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type to train in; `auto` is float32 on CPUs, because casting costs small towers more than bf16 gains."""
    return torch.float32 if precision == "auto" and device.type == "cpu" else compute_dtype(precision, device)


def cut_ahead(
    shares: Iterator[tuple[list[Item], slice]],
    split: Split,
    size: int,
    tuning: FinetuneSettings,
    pool: ThreadPoolExecutor,
) -> Iterator[Share]:
    """Yield each batch with the crops of this rank's share; threads cut those of the next batch meanwhile.

    Args:
        shares: Items of each batch, and the places of those that this rank embeds.
        split: The videos to cut from.
        size: Side of the tower's input in pixels.
        tuning: Sizes of the crops, and the number of frames drawn from a video.
        pool: Threads that cut.
    """

    def cut(item: Item) -> Tensor:
        generator = np.random.default_rng(item.seed)  # one for each item: the order of threads is irrelevant
        return random_crops(split.frames[item.video_id], size, tuning.crop_scale, tuning.frames, generator)

    def cut_out(items: list[Item], own: slice, crops: list[Future[Tensor]]) -> Share:
        return Share(items, own, [crop.result() for crop in crops])

    ahead: tuple[list[Item], slice, list[Future[Tensor]]] | None = None
    for items, own in shares:
        submitted = (items, own, [pool.submit(cut, item) for item in items[own]])
        if ahead is not None:
            yield cut_out(*ahead)
        ahead = submitted
    if ahead is not None:
        yield cut_out(*ahead)
