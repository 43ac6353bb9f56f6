import pytest
import torch
from toys.rank_processes import on_ranks

from pipeline.jobs.rank_group import joined_ranks, num_ranks


def test_one_rank_has_nobody_to_ask() -> None:
    with joined_ranks() as ranks:
        assert (ranks.number, ranks.num, ranks.is_first) == (0, 1, True)
        assert ranks.any(True, False) == (True, False)
        assert ranks.gather("a") == ["a"]
        assert ranks.from_first("a") == "a"
        assert ranks.sum(torch.ones(2)).tolist() == [1, 1]


def test_the_launcher_says_who_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert num_ranks() == 1
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert num_ranks() == 3


def asked() -> dict[str, object]:
    with joined_ranks() as ranks:
        own = torch.tensor([1.0, 10.0]) * (ranks.number + 1)
        return {
            "number": ranks.number,
            "any": ranks.any(ranks.number == 1, False),
            "gather": ranks.gather({"rank": ranks.number}),
            "from_first": ranks.from_first(f"of {ranks.number}"),
            "sum": ranks.sum(own).tolist(),
            "own": own.tolist(),
        }


@pytest.mark.slow
def test_three_ranks_hear_the_same() -> None:
    found = on_ranks(3, asked)
    assert [rank.pop("number") for rank in found] == [0, 1, 2]
    assert [rank.pop("own") for rank in found] == [[1, 10], [2, 20], [3, 30]]
    for rank in found:
        assert rank == {
            "any": (True, False),
            "gather": [{"rank": 0}, {"rank": 1}, {"rank": 2}],
            "from_first": "of 0",
            "sum": [6, 60],
        }
