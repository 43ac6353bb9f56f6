import pytest
from toys.rank_processes import on_ranks

from pipeline.jobs import preemption
from pipeline.jobs.preemption import Preempted
from pipeline.jobs.rank_group import Ranks, joined_ranks
from pipeline.recognition.block_sharing import blocks_of, found_in_turn, help_first

BLOCKS = blocks_of([str(i) for i in range(9)], 2)


def doubled(block):
    return [clip_id * 2 for clip_id in block]


def test_blocks():
    assert blocks_of(["a", "b", "c"], 2) == [["a", "b"], ["c"]]
    assert blocks_of([], 2) == []


def test_one_process_finds_all_in_turn():
    found = found_in_turn(BLOCKS, list, doubled, Ranks())
    assert list(found) == [str(i) * 2 for i in range(9)]


def shared(at=None):
    """What the first of three ranks finds, or what ends it; the last one gets SIGTERM when it computes block `at`."""

    def compute(block):
        if block == at and ranks.number == 2:
            preemption._signal.has_come = True
        return doubled(block)

    with joined_ranks() as ranks:
        try:
            if ranks.is_first:
                return list(found_in_turn(BLOCKS, list, compute, ranks))
            help_first(BLOCKS, list, compute, ranks)
        except Preempted:
            return "stopped"
        return "done"


@pytest.mark.slow
def test_ranks_find_the_same_and_stop_together():
    assert on_ranks(3, shared) == [[str(i) * 2 for i in range(9)], "done", "done"]
    assert on_ranks(3, shared, BLOCKS[2]) == ["stopped"] * 3


def given_up():
    """The first rank takes three and then has no more use for the others."""
    with joined_ranks() as ranks:
        if not ranks.is_first:
            help_first(BLOCKS, list, doubled, ranks)
            return "done"
        found = found_in_turn(BLOCKS, list, doubled, ranks)
        taken = [next(found) for _ in range(3)]
        found.close()
        return taken


@pytest.mark.slow
def test_the_others_end_when_the_first_rank_gives_up():
    assert on_ranks(2, given_up) == [["00", "11", "22"], "done"]
