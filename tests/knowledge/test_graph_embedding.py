import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch_geometric.nn.kge import ComplEx, RotatE, TransE

from pipeline.config import EmbeddingSettings
from pipeline.knowledge.graph_embedding import (
    Ranks,
    features,
    filtered_ranks,
    ranking_scores,
    split_held_out,
    train_embedding,
)
from pipeline.knowledge.triplets import KnowledgeGraph


def graph_of(rows: list[tuple[int, int, int]], num_entities: int, num_relations: int) -> KnowledgeGraph:
    head, relation, tail = np.array(rows, np.int64).reshape(-1, 3).T
    words = tuple(f"e{i}" for i in range(num_entities)), tuple(f"r{i}" for i in range(num_relations))
    return KnowledgeGraph(*words, head=head, relation=relation, tail=tail, count=np.ones(len(rows), np.int64))


def settings(model: str, **others: object) -> EmbeddingSettings:
    values = {"width": 8, "epochs": 60, "batch_size": 16, "lr": 0.05, "held_out": 0.1, "seed": 3}
    return EmbeddingSettings.model_validate({"model": model, **values, **others})


def test_ranks_by_hand() -> None:
    """Four entities, one relation: (0, 1), (0, 2) and (3, 2) are true, and (0, 2) is tested."""
    graph = graph_of([(0, 0, 1), (0, 0, 2), (3, 0, 2)], 4, 1)
    table = torch.tensor(  # score of head (row) and tail (column)
        [
            [0.8, 0.9, 0.5, 0.5],  # tails of 0: 1 is better, but true; 0 is better and wrong; 3 is as good
            [0.0, 0.0, 0.4, 0.0],
            [0.0, 0.0, 0.7, 0.0],  # heads of 2: 2 is better and wrong
            [0.0, 0.0, 0.6, 0.0],  # 3 is better, but true
        ]
    )

    def score(head: torch.Tensor, relation: torch.Tensor, tail: torch.Tensor) -> torch.Tensor:
        assert relation.tolist() == [0] * 4
        return table[head, tail]

    heads, tails = filtered_ranks(score, graph, np.array([False, True, False]))
    assert heads.rank.tolist() == [2.0]
    assert heads.candidates.tolist() == [3]
    assert tails.rank.tolist() == [2.5]  # behind 0, and level with 3
    assert tails.candidates.tolist() == [3]


def test_the_relation_counts_when_it_is_told_what_is_true() -> None:
    """(0, 1) is true of another relation only: here it is a mistake like any other."""
    graph = graph_of([(0, 1, 1), (0, 0, 2)], 3, 2)
    scores = torch.tensor([0.0, 0.9, 0.5])
    _, tails = filtered_ranks(lambda _head, _relation, tail: scores[tail], graph, np.array([False, True]))
    assert tails.rank.tolist() == [2.0]
    assert tails.candidates.tolist() == [3]


def test_scores_by_hand() -> None:
    heads = Ranks(np.array([1.0, 4.0]), np.array([4, 4]))
    tails = Ranks(np.array([2.0, 20.0]), np.array([2, 20]))
    scores = ranking_scores(heads, tails)
    assert scores["mrr"] == pytest.approx((1 + 1 / 4 + 1 / 2 + 1 / 20) / 4)
    assert [scores[f"hits@{k}"] for k in (1, 3, 10)] == [0.25, 0.5, 0.75]
    assert scores["head"] == {"mrr": 0.625, "hits@1": 0.5, "hits@3": 0.5, "hits@10": 1.0}
    assert scores["tail"]["hits@3"] == 0.5
    by_lot = [sum(1 / rank for rank in range(1, n + 1)) / n for n in (4, 4, 2, 20)]
    assert scores["chance"]["mrr"] == pytest.approx(sum(by_lot) / 4, abs=1e-6)
    assert scores["chance"]["hits@3"] == pytest.approx((0.75 + 0.75 + 1 + 0.15) / 4)


def test_a_model_that_knows_nothing_scores_about_like_chance() -> None:
    graph = graph_of([(i, 0, (i + 1) % 9) for i in range(9)], 9, 1)
    scores = ranking_scores(
        *filtered_ranks(lambda head, _relation, _tail: torch.zeros(len(head)), graph, np.ones(9, bool))
    )
    assert scores["mrr"] == pytest.approx(1 / 5)  # all nine tie
    assert scores["hits@1"] == 0
    assert scores["chance"]["hits@1"] == pytest.approx(1 / 9)


def test_without_held_out_triplets_there_are_no_scores() -> None:
    nothing = Ranks(np.array([]), np.array([], int))
    scores = ranking_scores(nothing, nothing)
    assert scores["mrr"] is None
    assert scores["chance"]["hits@10"] is None


def test_words_of_held_out_triplets_stay_in_others() -> None:
    ring = [(i, i % 3, (i + 1) % 12) for i in range(12)]
    graph = graph_of([*ring, *[(i, 0, (i + 2) % 12) for i in range(12)], (0, 3, 12), (13, 1, 13)], 14, 4)
    for seed in range(20):
        held = split_held_out(graph, 0.5, seed)
        assert held.sum() == 13  # half of 26
        assert not held[-2:].any()  # the only ones of relation 3, entity 12 and entity 13
        rest = graph.select(~held)
        assert {*rest.head, *rest.tail} == set(range(14))
        assert set(rest.relation) == set(range(4))
    assert (split_held_out(graph, 0.5, 1) == split_held_out(graph, 0.5, 1)).all()
    assert any((split_held_out(graph, 0.5, 1) != split_held_out(graph, 0.5, seed)).any() for seed in range(2, 9))


def test_a_share_is_held_out_where_the_words_allow_it() -> None:
    graph = graph_of([(i, 0, j) for i in range(10) for j in range(10)], 10, 1)
    assert split_held_out(graph, 0.1, 1).sum() == 10
    assert split_held_out(graph, 0.0, 1).sum() == 0


def kinds() -> KnowledgeGraph:
    """Entities 0 to 5 of one kind, 6 to 11 of the other; relation 0 within a kind, 1 to the other."""
    rows = [(i, int(i // 6 != j // 6), j) for i in range(12) for j in range(12) if i != j]
    return graph_of(rows, 12, 2)


@pytest.mark.parametrize("model", ["transe", "distmult", "complex", "rotate"])
def test_a_model_learns_what_it_can_and_gives_the_same_each_time(model: str) -> None:
    graph = kinds()
    held = split_held_out(graph, 0.1, 1)
    trained, losses = train_embedding(graph.select(~held), settings(model))
    assert losses[-1] < 0.9 * losses[0]
    scores = ranking_scores(*filtered_ranks(trained, graph, held))
    assert scores["mrr"] > 1.2 * scores["chance"]["mrr"]
    state = torch.get_rng_state()
    entities, relations = features(train_embedding(graph.select(~held), settings(model))[0])
    assert torch.equal(state, torch.get_rng_state())
    assert entities.shape == (12, 8)
    assert relations.shape == (2, 8)
    assert torch.equal(entities, features(trained)[0])
    assert torch.equal(relations, features(trained)[1])
    torch.testing.assert_close(entities.norm(dim=1), torch.ones(12))


def test_features_are_what_the_model_computes_with() -> None:
    real = TransE(3, 2, 8)
    assert torch.equal(features(real)[0], F.normalize(real.node_emb.weight.detach()))
    model = ComplEx(3, 2, 4)
    entities, relations = features(model)
    parts = [model.rel_emb.weight, model.rel_emb_im.weight]
    torch.testing.assert_close(relations, F.normalize(torch.cat(parts, dim=1).detach()))
    torch.testing.assert_close(
        entities[:, 4:] / entities[:, :4], (model.node_emb_im.weight / model.node_emb.weight).detach()
    )
    turn = RotatE(3, 2, 4)
    _, relations = features(turn)
    cosines, sines = (
        turn.rel_emb.weight.detach().cos() / math.sqrt(4),
        turn.rel_emb.weight.detach().sin() / math.sqrt(4),
    )
    torch.testing.assert_close(relations, torch.cat([cosines, sines], dim=1))


@pytest.mark.parametrize("model", ["complex", "rotate"])
def test_complex_numbers_need_an_even_width(model: str) -> None:
    with pytest.raises(ValueError, match="must be even"):
        settings(model, width=7)
    assert settings("transe", width=7).width == 7
