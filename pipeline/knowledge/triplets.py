"""Triplets of a knowledge graph: what may be one, how they are counted, and their file.

A triplet is always (head, relation, tail), by name and never by place alone: AKG-sv's notebook loads (head, tail,
relation), then takes them for (head, relation, tail), and so filters tails as if they were relations. The filters are
those of that notebook: function words, quantifiers and numerals go, relations that say nothing go with their triplet,
an entity has a few words, all of letters. Two things differ. A relation keeps its preposition ("move to", "sit on"),
which is all that tells some relations apart. And whether a word is a word is not looked up in a list of English words
that would have to be downloaded: rare triplets are left out instead.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import read_json


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


DETERMINERS = word_set("a an the this that these those")
PRONOUNS = word_set(
    "i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers "
    "herself it its itself they them their theirs themselves who whom whose which what"
)
AUXILIARIES = word_set(
    "be am is are was were been being have has had having do does did doing done get gets got getting gotten can could "
    "will would shall should may might must"
)
PREPOSITIONS = word_set(
    "about above across after against along among around at before behind below beneath beside between beyond by down "
    "for from in inside into near of off on onto out outside over past through to toward towards under up upon with "
    "within without"
)
CONNECTIVES = word_set(
    "and or but nor so if then than as because while when where how why not no only very too just also there here "
    "again once now"
)
QUANTIFIERS = word_set(
    "some any many much several few fewer more most less least all both each every either neither enough plenty lot "
    "lots couple various numerous another other others one two three four five six seven eight nine ten eleven twelve "
    "dozen hundred thousand first second third last"
)
NOT_IN_ENTITIES = DETERMINERS | PRONOUNS | PREPOSITIONS | CONNECTIVES | QUANTIFIERS  # "can" and "being" are nouns, too
NOT_IN_RELATIONS = NOT_IN_ENTITIES - PREPOSITIONS | AUXILIARIES


class Triplet(NamedTuple):
    """Who, does what, to whom or where; each a phrase of lower-case words."""

    head: str
    relation: str
    tail: str


def make_triplet(
    *, head: Sequence[str], relation: Sequence[str], tail: Sequence[str], max_entity_words: int
) -> Triplet | None:
    """A triplet of the words that are left after filtering; None where that is no triplet.

    Args:
        head: Words of the subject, lemmas if there are any.
        relation: Words of the verb with its particles and prepositions.
        tail: Words of the object.
        max_entity_words: Head and tail have so many words at most.
    """
    ends = [_entity(words, max_entity_words) for words in (head, tail)]
    verb = [word for word in map(str.lower, relation) if word not in NOT_IN_RELATIONS]
    if not all(ends) or not verb or verb[0] in PREPOSITIONS or not all(map(str.isalpha, verb)):
        return None
    return Triplet(head=ends[0], relation=" ".join(verb), tail=ends[1])


def _entity(words: Sequence[str], max_words: int) -> str:
    """The phrase of an entity; empty if it is none."""
    kept = [word for word in map(str.lower, words) if word not in NOT_IN_ENTITIES and not word.isdigit()]
    fits = len(kept) <= max_words and all(word.isalpha() and len(word) > 1 for word in kept)
    return " ".join(kept) if fits else ""


@dataclass(frozen=True)
class KnowledgeGraph:
    """Counted triplets over numbered words; every array is int64 [triplets].

    Attributes:
        entities: Heads and tails, the ones of most triplets first.
        relations: The same for relations.
        head: Number of the head in `entities`.
        relation: Number of the relation in `relations`.
        tail: Number of the tail in `entities`.
        count: How often the triplet was found.
    """

    entities: tuple[str, ...]
    relations: tuple[str, ...]
    head: NDArray[np.int64]
    relation: NDArray[np.int64]
    tail: NDArray[np.int64]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.count)

    def select(self, rows: NDArray[np.bool_]) -> "KnowledgeGraph":
        """The same words with some of the triplets, by a mask [triplets]."""
        columns = (column[rows] for column in (self.head, self.relation, self.tail, self.count))
        return KnowledgeGraph(self.entities, self.relations, *columns)


def graph_content(counts: Mapping[Triplet, int], min_count: int) -> dict[str, Any]:
    """What triplets.json holds.

    Args:
        counts: How often each triplet was found.
        min_count: Rarer triplets are left out.

    Returns:
        `triplets` ([head, relation, tail, count], the most frequent first), `entities` and `relations` (the same).
    """
    kept = sorted((item for item in counts.items() if item[1] >= min_count), key=lambda item: (-item[1], item[0]))
    entities: Counter[str] = Counter()
    relations: Counter[str] = Counter()
    for triplet, count in kept:
        for entity in {triplet.head, triplet.tail}:
            entities[entity] += count
        relations[triplet.relation] += count
    return {
        "triplets": [[triplet.head, triplet.relation, triplet.tail, count] for triplet, count in kept],
        "entities": _by_count(entities),
        "relations": _by_count(relations),
    }


def _by_count(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda word: (-counts[word], word))


def read_graph(path: Path) -> KnowledgeGraph:
    """Read triplets.json as `extract_triplets` wrote it."""
    content = read_json(path, ["triplets", "entities", "relations"], "extract_triplets")
    entities = {word: number for number, word in enumerate(content["entities"])}
    relations = {word: number for number, word in enumerate(content["relations"])}
    heads, verbs, tails, counts = zip(*content["triplets"], strict=True) if content["triplets"] else ((),) * 4
    return KnowledgeGraph(
        entities=tuple(entities),
        relations=tuple(relations),
        head=_numbers(entities[word] for word in heads),
        relation=_numbers(relations[word] for word in verbs),
        tail=_numbers(entities[word] for word in tails),
        count=_numbers(counts),
    )


def _numbers(values: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(values, np.int64)
