"""Compute blocks of clips, one process or several side by side, for a store that the first of them writes.

A block has the same clips however many processes there are, and wherever an earlier call was killed, so that the
numbers are the same to the last bit: products of matrices of other sizes are not rounded alike.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

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


def _rounds(blocks: Sequence[list[str]], read: Callable[[list[str]], Read], ranks: Ranks) -> Iterator[Read | None]:
    """What this rank reads in every round; None in a last round that has no block for it."""
    own = blocks[ranks.number :: ranks.num]
    yield from made_ahead(read, own, 1)
    if len(own) < -(-len(blocks) // ranks.num):
        yield None
