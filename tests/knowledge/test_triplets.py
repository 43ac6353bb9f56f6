import json
from pathlib import Path

import pytest

from pipeline.artifact import write_json
from pipeline.errors import PipelineError
from pipeline.knowledge.triplets import Triplet, graph_content, make_triplet, read_graph


def make(head: str, relation: str, tail: str, max_entity_words: int = 2) -> Triplet | None:
    return make_triplet(
        head=head.split(), relation=relation.split(), tail=tail.split(), max_entity_words=max_entity_words
    )


def test_function_words_quantifiers_and_numerals_go() -> None:
    assert make("the two Men", "is playing", "some of 12 guitar") == ("men", "playing", "guitar")


def test_a_relation_keeps_its_preposition() -> None:
    assert make("cat", "jump out of", "box") == ("cat", "jump out of", "box")


@pytest.mark.parametrize("relation", ["be", "have", "do", "get", "can", "is", "are", "is on", "of", "", "play2"])
def test_relations_that_say_nothing_go_with_their_triplet(relation: str) -> None:
    assert make("man", relation, "guitar") is None


def test_the_filter_of_relations_is_for_relations() -> None:
    """Head, relation and tail are never taken for one another (AKG-sv filters tails by its list of relations)."""
    assert make("man", "open", "can") == Triplet(head="man", relation="open", tail="can")
    assert make("man", "can", "open") is None
    assert make("being", "hold", "can") == Triplet(head="being", relation="hold", tail="can")
    long = "very long winding relation"  # entities have few words, relations as many as they need
    assert make("man", long, "box") == Triplet(head="man", relation="long winding relation", tail="box")


@pytest.mark.parametrize("entity", ["x", "t-shirt", "r2d2", "they", "", "old wooden kitchen table"])
def test_what_is_no_entity(entity: str) -> None:
    assert make(entity, "play", "guitar") is None
    assert make("man", "play", entity) is None


def test_entities_of_every_script() -> None:
    assert make("Mädchen", "спит", "стол") == ("mädchen", "спит", "стол")


def test_longest_entity() -> None:
    assert make("rock band", "play", "guitar", 1) is None
    assert make("band", "play", "guitar", 1) == ("band", "play", "guitar")


COUNTS = {
    Triplet("man", "play", "guitar"): 3,
    Triplet("dog", "chase", "man"): 3,
    Triplet("dog", "chase", "dog"): 2,
    Triplet("guitar", "play", "man"): 1,
}


def test_content_is_sorted_and_frequent() -> None:
    assert graph_content(COUNTS, 2) == {
        "triplets": [["dog", "chase", "man", 3], ["man", "play", "guitar", 3], ["dog", "chase", "dog", 2]],
        "entities": ["man", "dog", "guitar"],
        "relations": ["chase", "play"],
    }
    assert graph_content({}, 1) == {"triplets": [], "entities": [], "relations": []}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "triplets.json", graph_content(COUNTS, 1))
    graph = read_graph(tmp_path / "triplets.json")
    numbers = zip(graph.head, graph.relation, graph.tail, graph.count, strict=True)
    found = {
        Triplet(head=graph.entities[head], relation=graph.relations[relation], tail=graph.entities[tail]): count
        for head, relation, tail, count in numbers
    }
    assert found == COUNTS
    assert len(graph.select(graph.count == 3)) == 2
    assert graph.select(graph.count == 3).entities == graph.entities


def test_an_empty_graph_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "triplets.json", graph_content({}, 1))
    graph = read_graph(tmp_path / "triplets.json")
    assert len(graph) == 0
    assert graph.entities == graph.relations == ()


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "triplets.json").write_text(json.dumps({"triplets": []}))
    with pytest.raises(PipelineError, match="lacks entities, relations"):
        read_graph(tmp_path / "triplets.json")
