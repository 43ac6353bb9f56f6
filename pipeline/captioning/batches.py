"""Which videos and captions are trained on when, and the batches made of them.

An epoch is planned as a whole from seed and epoch number, alike on every process: its steps, each cut into one piece a
process and accumulation. A step therefore sees the same videos and captions however many processes share it, no video
comes twice in an epoch to fill a batch up, and every piece knows how many tokens the whole step has. As one video's
captions share a piece, its graph is encoded once for all of them.

Pairing a caption with the reverse of a random caption of the same video, so that the right-to-left decoder does not
give the answer away, is BTKG's pseudo-reverse (doi 10.1007/s11042-023-17822-4).

Shapes: C captions, L left-to-right tokens, M right-to-left tokens.
"""

import operator
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.models.action_graph import ActionGraph, batch_graphs
from pipeline.vocabulary import PAD, UNK, Vocabulary


class CaptionBatch(NamedTuple):
    """Some videos and captions of theirs.

    Attributes:
        graphs: Made by `batch_graphs`.
        left_to_right: Captions from `<bos>` to `<eos>`, padded, `[C, 1 + L]`.
        right_to_left: The reversed caption that each is paired with, `[C, 1 + M]`.
        caption_graph: The graph of each caption, `[C]`.
        num_tokens: Targets of the whole step (all processes and accumulations), left to right and right to left.
    """

    graphs: Any
    left_to_right: Tensor
    right_to_left: Tensor
    caption_graph: Tensor
    num_tokens: tuple[int, int]

    def to(self, device: torch.device) -> "CaptionBatch":
        """The batch on another device."""
        names = ("graphs", "left_to_right", "right_to_left", "caption_graph")
        return self._replace(**{name: getattr(self, name).to(device, non_blocking=True) for name in names})


class Pair(NamedTuple):
    """Numbers, among those of the video, of a caption and of the one whose reverse goes with it."""

    video: int
    caption: int
    reversed_caption: int


class Piece(NamedTuple):
    """What one process computes at once, and the number of targets of the whole step in either direction."""

    pairs: list[Pair]
    num_tokens: tuple[int, int]


def count_targets(tokens: Sequence[int]) -> int:
    """Tokens of a caption that the loss scores: words and `<eos>`, not `<bos>`, `<unk>` or padding."""
    return sum(token not in (PAD, UNK) for token in tokens[1:])


@dataclass(frozen=True)
class CaptionedVideos:
    """Videos of a split that have both a graph and captions.

    Attributes:
        ids: The videos.
        forward: Encoded captions of each.
        backward: The same captions, encoded last word first.
    """

    ids: list[str]
    forward: list[list[list[int]]]
    backward: list[list[list[int]]]

    @classmethod
    def of_split(
        cls, ids: Sequence[str], captions: Mapping[str, Sequence[str]], vocabulary: Vocabulary
    ) -> "CaptionedVideos":
        """Encode the captions of some videos; videos without a word are left out."""
        kept = {i: [text for text in captions.get(i, []) if len(vocabulary.encode(text)) > 2] for i in ids}
        used = [i for i in ids if kept[i]]
        return cls(
            used,
            [[vocabulary.encode(text) for text in kept[i]] for i in used],
            [[vocabulary.encode(text, reverse=True) for text in kept[i]] for i in used],
        )

    def piece(self, pairs: list[Pair]) -> Piece:
        """A step that is computed at once."""
        return Piece(pairs, self.num_targets(pairs))

    def num_targets(self, pairs: Sequence[Pair]) -> tuple[int, int]:
        """Targets of the loss, left to right and right to left."""
        return (
            sum(count_targets(self.forward[p.video][p.caption]) for p in pairs),
            sum(count_targets(self.backward[p.video][p.reversed_caption]) for p in pairs),
        )


@dataclass(frozen=True)
class EpochPlan:
    """How epochs are drawn.

    Attributes:
        videos: The training videos.
        batch_size: Videos of a step, over all processes and accumulations.
        accumulate: Pieces that a process computes one after another in a step: less memory, the same gradient.
        captions_per_video: Captions of a video that an epoch sees, or all if it has fewer.
        reverse_pairing: Whether captions are paired anew each epoch or once for all.
        seed: Of the run.
        num_processes: How many share the work.
    """

    videos: CaptionedVideos
    batch_size: int
    accumulate: int
    captions_per_video: int
    reverse_pairing: Literal["epoch", "once"]
    seed: int
    num_processes: int

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch: as near to `batch_size` videos each as equal steps can be."""
        return max(1, round(len(self.videos.ids) / self.batch_size))

    def check(self) -> None:
        """Raise PipelineError if a process would be without a video in some step."""
        num_videos, pieces = len(self.videos.ids), self.accumulate * self.num_processes
        if num_videos // self.steps_per_epoch < pieces:
            raise PipelineError(
                f"training: {num_videos} captioned training videos in {self.steps_per_epoch} steps leave fewer than "
                f"{pieces} a step for {self.num_processes} processes and `accumulate: {self.accumulate}`; "
                "lower `accumulate`, raise `batch_size` or use fewer GPUs"
            )

    def draw(self, epoch: int, process: int) -> list[Piece]:
        """What one process does in one epoch, in order; `accumulate` pieces make a step."""
        rng = np.random.default_rng([self.seed, epoch])
        pairs = [self._pairs(video, epoch) for video in range(len(self.videos.ids))]
        pieces = []
        for step in np.array_split(rng.permutation(len(pairs)), self.steps_per_epoch):
            num_tokens = self.videos.num_targets([pair for video in step for pair in pairs[video]])
            shares = np.array_split(step, self.accumulate * self.num_processes)[process :: self.num_processes]
            pieces += [Piece([pair for video in share for pair in pairs[video]], num_tokens) for share in shares]
        return pieces

    def _pairs(self, video: int, epoch: int) -> list[Pair]:
        num_captions = len(self.videos.forward[video])
        rng = np.random.default_rng([self.seed, epoch, video])
        chosen = rng.permutation(num_captions)[: self.captions_per_video]
        if self.reverse_pairing == "once":
            rng = np.random.default_rng([self.seed, video])
        partner = rng.permutation(num_captions)
        return [Pair(video, int(caption), int(partner[caption])) for caption in chosen]


def validation_pieces(
    videos: CaptionedVideos, batch_size: int, captions_per_video: int, process: int, num_processes: int
) -> list[Piece]:
    """Every video once over all processes, its first captions each paired with the next one's reverse."""
    mine = range(process, len(videos.ids), num_processes)
    pieces = []
    for start in range(0, len(mine), batch_size):
        pairs = []
        for video in mine[start : start + batch_size]:
            num = len(videos.forward[video])
            pairs += [Pair(video, i, (i + 1) % num) for i in range(min(num, captions_per_video))]
        pieces.append(videos.piece(pairs))
    return pieces


class PieceBatches:
    """Batches by piece.

    Args:
        videos: Where the captions are.
        graphs: Graphs by video id.
    """

    def __init__(self, videos: CaptionedVideos, graphs: Any) -> None:
        self.videos = videos
        self.graphs = graphs

    def __getitem__(self, piece: Piece) -> CaptionBatch:
        numbers = list(dict.fromkeys(pair.video for pair in piece.pairs))
        graph_of = {video: number for number, video in enumerate(numbers)}
        graphs: list[ActionGraph] = [self.graphs[self.videos.ids[video]] for video in numbers]
        return CaptionBatch(
            batch_graphs(graphs),
            pad([self.videos.forward[p.video][p.caption] for p in piece.pairs]),
            pad([self.videos.backward[p.video][p.reversed_caption] for p in piece.pairs]),
            torch.tensor([graph_of[p.video] for p in piece.pairs]),
            piece.num_tokens,
        )


class BatchesAhead:
    """Batches of some pieces, in order, each made by a thread while the one before is worked on.

    Graphs that do not fit in memory are read from disk, which takes about as long as a step on a GPU does.

    Args:
        batches: Makes them.
        pieces: Which.
    """

    def __init__(self, batches: PieceBatches, pieces: Sequence[Piece]) -> None:
        self.batches = batches
        self.pieces = pieces

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[CaptionBatch]:
        before: Future[CaptionBatch] | None = None
        with ThreadPoolExecutor(1) as thread:
            for piece in self.pieces:
                batch = thread.submit(operator.getitem, self.batches, piece)
                if before is not None:
                    yield before.result()
                before = batch
            if before is not None:
                yield before.result()


def pad(captions: Sequence[Sequence[int]]) -> Tensor:
    """Captions as rows, filled with `<pad>` on the right."""
    rows = np.full((len(captions), max(map(len, captions))), PAD, np.int64)
    for row, tokens in zip(rows, captions, strict=True):
        row[: len(tokens)] = tokens
    return torch.from_numpy(rows)
