"""Compute blocks of clips, one process or several side by side, for a store that the first of them writes.

A block has the same clips however many processes there are, and wherever an earlier call was killed, so that the
numbers are the same to the last bit: products of matrices of other sizes are not rounded alike.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Generic, TypeVar

from pipeline.artifact.each_video import Outcomes, VideoRows
from pipeline.errors import VideoError
from pipeline.jobs import preemption
from pipeline.jobs.rank_group import Ranks
from pipeline.recognition.batches import made_ahead

Read = TypeVar("Read")
Found = TypeVar("Found")


def blocks_of(ids: Sequence[str], size: int) -> list[list[str]]:
    """Cut ids into blocks; the last one may be smaller."""
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]


def found_in_turn(
    blocks: Sequence[list[str]],
    read: Callable[[list[str]], Read],
    compute: Callable[[Read], list[Found]],
    ranks: Ranks,
) -> Generator[Found, None, None]:
    """Yield to the first rank what was found for the clips of all blocks, in their order; all ranks compute.

    The other ranks call `help_first` with the same blocks. The caller closes the iterator when it stops early.

    Args:
        blocks: The blocks that are left.
        read: Reads a block; a thread does this ahead.
        compute: Finds something for each clip of a block.
        ranks: The processes that share the work.

    Raises:
        Preempted: if SIGTERM has come to any of the ranks.
    """
    told = False
    try:
        for own in _rounds(blocks, read, ranks):
            (told, _) = ranks.any(preemption.sigterm_received(), False)
            if told:
                preemption.stop_if_requested("between two blocks of clips", anyway=True)
            found = [] if own is None else compute(own)
            for of_rank in ranks.gather(found):
                yield from of_rank
        told = True
    finally:
        if not told:
            ranks.any(False, True)  # the first rank stops, and the others with it


def help_first(
    blocks: Sequence[list[str]], read: Callable[[list[str]], Any], compute: Callable[[Any], list[Any]], ranks: Ranks
) -> None:
    """Compute a rank's share for `found_in_turn` on the first rank.

    Raises:
        Preempted: if SIGTERM has come to any of the ranks.
    """
    with preemption.deferring_sigterm():
        for own in _rounds(blocks, read, ranks):
            is_told, first_stops = ranks.any(preemption.sigterm_received(), False)
            if first_stops:
                return
            if is_told:
                preemption.stop_if_requested("between two blocks of clips", anyway=True)
            ranks.gather([] if own is None else compute(own))


class SharedBlocks(Generic[Read]):
    """Computes the remaining clips of the store, with the other ranks.

    Args:
        ids: All clips that can be computed.
        size: Clips of a block.
        read: Reads the views of a block.
        compute: Computes their rows.
        ranks: The processes that share the work.
    """

    def __init__(
        self,
        ids: list[str],
        size: int,
        read: Callable[[list[str]], Read],
        compute: Callable[[Read], list[VideoRows | VideoError]],
        ranks: Ranks,
    ) -> None:
        self.ids = ids
        self.size = size
        self.read = read
        self.compute = compute
        self.ranks = ranks

    def __call__(self, remaining: Sequence[str]) -> Outcomes:
        """On the first rank: the rows of the clips that remain."""
        num_done = self.ranks.from_first(len(self.ids) - len(remaining))
        with closing(found_in_turn(self._left(num_done), self.read, self.compute, self.ranks)) as found:
            yield from islice(found, num_done % self.size, None)

    def help(self) -> None:
        """On the others: compute a share of them."""
        help_first(self._left(self.ranks.from_first(None)), self.read, self.compute, self.ranks)

    def _left(self, num_done: int) -> list[list[str]]:
        """The blocks that hold the clips after the first `num_done`."""
        return blocks_of(self.ids, self.size)[num_done // self.size :]


def _rounds(blocks: Sequence[list[str]], read: Callable[[list[str]], Read], ranks: Ranks) -> Iterator[Read | None]:
    """What this rank reads in every round; None in a last round that has no block for it."""
    own = blocks[ranks.number :: ranks.num]
    yield from made_ahead(read, own, 1)
    if len(own) < -(-len(blocks) // ranks.num):
        yield None
