import numpy as np
import pytest

from pipeline.knowledge.linking import index_relations, likeliest, relations_among, shuffled, similarity
from pipeline.knowledge.triplets import KnowledgeGraph

ENTITIES = np.eye(3, dtype=np.float32)


def test_every_frame_counts_the_same_however_long_its_embedding_is() -> None:
    frames = np.array([[3, 0, 0], [0, 500, 0]], np.float32)
    np.testing.assert_allclose(similarity(frames, ENTITIES), [0.5**0.5, 0.5**0.5, 0], atol=1e-6)
    np.testing.assert_allclose(similarity(frames[:1], ENTITIES), [1, 0, 0], atol=1e-6)


def test_the_likeliest_come_first_and_of_equal_ones_the_first() -> None:
    scores = np.array([0.1, 0.7, 0.7, -0.2], np.float32)
    assert likeliest(scores, 3).tolist() == [1, 2, 0]
    assert likeliest(scores, 9).tolist() == [1, 2, 0, 3]
    assert likeliest(scores[:0], 3).tolist() == []


def graph() -> KnowledgeGraph:
    """Entities 0 to 3, relations 0 to 2."""
    rows = np.array([[0, 0, 1, 5], [1, 1, 0, 3], [1, 1, 1, 3], [0, 2, 3, 90], [3, 2, 0, 90], [0, 1, 2, 7]])
    return KnowledgeGraph(tuple("abcd"), tuple("xyz"), *rows.T)


def test_relations_are_of_triplets_with_both_ends_among_the_entities() -> None:
    between = index_relations(graph())
    assert relations_among(between, [0, 1], 9) == [1, 0]  # 3 + 3 of relation 1, 5 of relation 0; none of 2
    assert relations_among(between, [1, 0], 1) == [1]
    assert relations_among(between, [0, 3], 9) == [2]
    assert relations_among(between, [2, 3], 9) == []
    assert relations_among(between, [0, 1], 0) == []


def test_heads_and_tails_are_not_mixed_up() -> None:
    only = KnowledgeGraph(tuple("ab"), ("x",), *np.array([[0, 0, 1, 1]]).T)
    assert index_relations(only) == {(0, 1): {0: 1}}


def test_equally_frequent_relations_keep_their_order() -> None:
    rows = np.array([[0, 1, 0, 2], [0, 0, 0, 2]])
    assert relations_among(index_relations(KnowledgeGraph(("a",), tuple("xy"), *rows.T)), [0], 9) == [0, 1]


@pytest.mark.parametrize("number", [2, 3, 10])
def test_shuffling_gives_everyone_another_one(number: int) -> None:
    ids = [f"video {i}" for i in range(number)]
    whose = shuffled(ids)
    assert sorted(whose) == sorted(whose.values()) == ids
    assert all(video_id != other for video_id, other in whose.items())
    assert whose == shuffled(ids[::-1])
