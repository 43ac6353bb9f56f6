"""The order in which videos and captions are trained on, and the batches made of them.

Every process plans the whole epoch from the seed and the number of the epoch, and so all have the same plan. An epoch
consists of steps; each step is cut into one piece for every process and accumulation. It follows that

- a step has the same videos and captions however many processes share it,
- no video comes twice in an epoch to fill a batch up,
- every piece knows how many targets the whole step has,
- the captions of a video are in one piece, so that its graph is encoded once for all of them.

A caption is paired with the reverse of a random caption of the same video, so that the right-to-left decoder does not
give the answer away. This is BTKG's pseudo-reverse (doi 10.1007/s11042-023-17822-4).

Shapes: C captions, L left-to-right tokens, M right-to-left tokens.
"""

import itertools
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.models.action_graph import ActionGraph, batch_graphs
from pipeline.scoring.tokenising import split_all
from pipeline.vocabulary import PAD, UNK, Vocabulary

Batch_co = TypeVar("Batch_co", covariant=True)


class CaptionBatch(NamedTuple):
    """The graphs of some videos with captions of these videos.

    Attributes:
        graphs: A batch of action graphs, made by `batch_graphs`.
        left_to_right: Tokens of the captions from `<bos>` to `<eos>`, padded, `[C, 1 + L]`.
        right_to_left: Tokens of the reversed caption that each is paired with, padded, `[C, 1 + M]`.
        caption_graph: The graph of each caption, `[C]`.
        num_tokens: Number of targets of the whole step, over all processes and accumulations: left to right, and right
            to left.
    """

    graphs: Any
    left_to_right: Tensor
    right_to_left: Tensor
    caption_graph: Tensor
    num_tokens: tuple[int, int]

    def to(self, device: torch.device) -> "CaptionBatch":
        """A copy of the batch on another device."""
        names = ("graphs", "left_to_right", "right_to_left", "caption_graph")
        return self._replace(**{name: getattr(self, name).to(device, non_blocking=True) for name in names})


class Pair(NamedTuple):
    """A caption of a video and the caption whose reverse goes with it.

    Attributes:
        video: Number of the video in `CaptionedVideos`.
        caption: Number of the caption among those of the video.
        reversed_caption: Number of the other caption among those of the video; it may be the same caption.
    """

    video: int
    caption: int
    reversed_caption: int


class Piece(NamedTuple):
    """The part of a step that one process computes at once.

    Attributes:
        pairs: The captions of the piece; those of a video stand together.
        num_tokens: Number of targets of the whole step: left to right, and right to left.
    """

    pairs: list[Pair]
    num_tokens: tuple[int, int]


def count_targets(tokens: Sequence[int]) -> int:
    """Number of tokens of a caption that the loss scores: words and `<eos>`, not `<bos>`, `<unk>` or padding."""
    return sum(token not in (PAD, UNK) for token in tokens[1:])


@dataclass(frozen=True)
class CaptionedVideos:
    """Videos with their encoded captions: those of a split that have both a graph and captions.

    Attributes:
        ids: Ids of the videos.
        forward: Tokens of the captions of each video, from `<bos>` to `<eos>`.
        backward: Tokens of the same captions, last word first.
    """

    ids: list[str]
    forward: list[list[list[int]]]
    backward: list[list[list[int]]]

    @classmethod
    def of_split(
        cls, ids: Sequence[str], captions: Mapping[str, Sequence[str]], vocabulary: Vocabulary
    ) -> "CaptionedVideos":
        """Encode the captions of some videos, which are split by the vocabulary's tokenizer.

        Captions without a word are left out, as are videos without captions.
        """
        split = iter(split_all([text for i in ids for text in captions.get(i, [])], vocabulary.tokenizer))
        kept = {i: [words for words in itertools.islice(split, len(captions.get(i, []))) if words] for i in ids}
        used = [i for i in ids if kept[i]]
        return cls(
            used,
            [[vocabulary.encode(words) for words in kept[i]] for i in used],
            [[vocabulary.encode(words, reverse=True) for words in kept[i]] for i in used],
        )

    def piece(self, pairs: list[Pair]) -> Piece:
        """A piece that is a step of its own, so that its targets are those of the step."""
        return Piece(pairs, self.num_targets(pairs))

    def num_targets(self, pairs: Sequence[Pair]) -> tuple[int, int]:
        """Number of targets of the loss, left to right and right to left."""
        return (
            sum(count_targets(self.forward[p.video][p.caption]) for p in pairs),
            sum(count_targets(self.backward[p.video][p.reversed_caption]) for p in pairs),
        )


def captioned(
    known: Container[str],
    dataset: Mapping[str, Any],
    split: str,
    vocabulary: Vocabulary,
    source: Path,
    having: str,
) -> CaptionedVideos:
    """Gather the videos of a split that have captions, and what a captioner reads of them.

    Args:
        known: The graphs, or maps, that there are, by the ids of their videos.
        dataset: Captions and splits of the data set.
        split: Name of the split.
        vocabulary: Turns captions into tokens.
        source: Path of the captions, for the message.
        having: What a captioner reads, for the message: "a graph" or "maps".

    Raises:
        PipelineError: if there is no such video.
    """
    ids = dataset["splits"].get(split, [])
    videos = CaptionedVideos.of_split([i for i in ids if i in known], dataset["captions"], vocabulary)
    if not videos.ids:
        raise PipelineError(
            f"{source}: none of the {len(ids)} videos of split '{split}' has both {having} and a caption, and training "
            "needs some; check the splits and the videos that failed"
        )
    return videos


@dataclass(frozen=True)
class EpochPlan:
    """Draws the steps and pieces of each epoch.

    Attributes:
        videos: The training videos.
        batch_size: Number of videos of a step, over all processes and accumulations; `steps_per_epoch` rounds it.
        accumulate: Number of pieces that a process computes one after another in a step. More pieces need less memory
            and give the same gradient.
        captions_per_video: Number of captions of a video in an epoch; a video with fewer has all of them in it.
        reverse_pairing: `epoch` pairs the captions anew in each epoch, `once` keeps one pairing for the whole run.
        seed: Seed of the run.
        num_processes: Number of processes that share the work.
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
        """Number of steps of an epoch, so that equal steps come as near to `batch_size` videos as they can."""
        return max(1, round(len(self.videos.ids) / self.batch_size))

    def check(self) -> None:
        """Raise PipelineError if some piece of a step would have no video."""
        num_videos, pieces = len(self.videos.ids), self.accumulate * self.num_processes
        if num_videos // self.steps_per_epoch < pieces:
            raise PipelineError(
                f"training: {num_videos} captioned training videos in {self.steps_per_epoch} steps leave fewer than "
                f"{pieces} a step for {self.num_processes} processes and `accumulate: {self.accumulate}`; "
                "lower `accumulate`, raise `batch_size` or use fewer GPUs"
            )

    def draw(self, epoch: int, process: int) -> list[Piece]:
        """The pieces of one process in an epoch (from 0), in order; `accumulate` of them in a row belong to a step."""
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
    """The validation pieces of one process; over all processes, each video occurs once.

    A video has its first `captions_per_video` captions in them, each paired with the reverse of the next caption.

    Args:
        videos: The validation videos.
        batch_size: Number of videos of a piece.
        captions_per_video: Number of captions of a video; a video with fewer has all of them in its piece.
        process: Number of the process, from 0.
        num_processes: Number of processes that share the videos.
    """
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
    """Makes the batch of a piece: `batches[piece]`.

    Args:
        videos: The videos whose numbers the pieces give, with their captions.
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


class Batches(Protocol[Batch_co]):
    """Makes the batch of a piece."""

    def __getitem__(self, piece: Piece, /) -> Batch_co: ...


class BatchesAhead(Generic[Batch_co]):
    """Iterates over the batches of some pieces; a thread makes the next batch while the caller works on this one.

    Graphs that do not fit in memory are read from disk, which takes about as long as a step on a GPU does.

    Args:
        batches: Makes the batch of a piece.
        pieces: The pieces, in the order of their batches.
    """

    def __init__(self, batches: Batches[Batch_co], pieces: Sequence[Piece]) -> None:
        self.batches = batches
        self.pieces = pieces

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[Batch_co]:
        before: Future[Batch_co] | None = None
        with ThreadPoolExecutor(1) as thread:
            for piece in self.pieces:
                batch = thread.submit(self.batches.__getitem__, piece)
                if before is not None:
                    yield before.result()
                before = batch
            if before is not None:
                yield before.result()


def pad(captions: Sequence[Sequence[int]]) -> Tensor:
    """Tokens of captions as the rows of one int64 matrix; shorter rows are filled with `<pad>` on the right."""
    rows = np.full((len(captions), max(map(len, captions))), PAD, np.int64)
    for row, tokens in zip(rows, captions, strict=True):
        row[: len(tokens)] = tokens
    return torch.from_numpy(rows)
