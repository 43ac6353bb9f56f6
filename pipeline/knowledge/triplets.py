"""Filter and count the triplets of a knowledge graph, and read their file.

A triplet is always (head, relation, tail), by name and never by position alone: AKG-sv's notebook loads (head, tail,
relation), then takes them for (head, relation, tail), and so filters tails as if they were relations.

The filters are those of that notebook: function words, quantifiers and numerals are deleted, a triplet whose relation
says nothing is left out, and an entity has a few words, all of letters. Two things differ. A relation keeps its
preposition ("move to", "sit on"), which is all that tells some relations apart. And no word is looked up in a list of
English words, which would have to be downloaded: rare triplets are left out instead.
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
    """Return the set of the words of a text, which are separated by spaces."""
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
# Auxiliaries may be in entities, because "can" and "being" are nouns, too.
NOT_IN_ENTITIES = DETERMINERS | PRONOUNS | PREPOSITIONS | CONNECTIVES | QUANTIFIERS
NOT_IN_RELATIONS = NOT_IN_ENTITIES - PREPOSITIONS | AUXILIARIES


class Triplet(NamedTuple):
    """A head, what it does, and to whom or where it does it; each is a phrase of lower-case words.

    Attributes:
        head: The entity that does something.
        relation: What it does: a verb with its particles and prepositions.
        tail: The entity to which, or the place where, it does so.
    """

    head: str
    relation: str
    tail: str


def make_triplet(
    *, head: Sequence[str], relation: Sequence[str], tail: Sequence[str], max_entity_words: int
) -> Triplet | None:
    """Make a triplet of the words that are left after filtering.

    Args:
        head: Words of the subject, as lemmas where these are known.
        relation: Words of the verb with its particles and prepositions, likewise.
        tail: Words of the object, likewise.
        max_entity_words: Most words of head and tail.

    Returns:
        The triplet; None if head or tail is no entity, or if the relation has no word left, begins with a preposition,
        or has a word that is not all letters.
    """
    ends = [_entity(words, max_entity_words) for words in (head, tail)]
    verb = [word for word in map(str.lower, relation) if word not in NOT_IN_RELATIONS]
    if not all(ends) or not verb or verb[0] in PREPOSITIONS or not all(map(str.isalpha, verb)):
        return None
    return Triplet(head=ends[0], relation=" ".join(verb), tail=ends[1])


def _entity(words: Sequence[str], max_words: int) -> str:
    """Filter the words of an entity.

    Returns:
        The words that are left, or "" if none is, if they are too many, or if one is shorter than two letters or not
        all letters.
    """
    kept = [word for word in map(str.lower, words) if word not in NOT_IN_ENTITIES and not word.isdigit()]
    fits = len(kept) <= max_words and all(word.isalpha() and len(word) > 1 for word in kept)
    return " ".join(kept) if fits else ""


@dataclass(frozen=True)
class KnowledgeGraph:
    """Counted triplets, whose entities and relations are numbered; every array is int64 [triplets].

    Attributes:
        entities: All heads and tails, the ones that were found most often first.
        relations: All relations, the ones that were found most often first.
        head: Number of each triplet's head in `entities`.
        relation: Number of each triplet's relation in `relations`.
        tail: Number of each triplet's tail in `entities`.
        count: How often each triplet was found.
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
        """Return a graph of the triplets that a mask [triplets] marks, with the same entities and relations."""
        columns = (column[rows] for column in (self.head, self.relation, self.tail, self.count))
        return KnowledgeGraph(self.entities, self.relations, *columns)


def graph_content(counts: Mapping[Triplet, int], min_count: int) -> dict[str, Any]:
    """Make the content of triplets.json.

    Args:
        counts: How often each triplet was found.
        min_count: Fewest times that a triplet must have been found; rarer ones are left out.

    Returns:
        `triplets` ([head, relation, tail, count]), `entities` and `relations`, each with the most frequent first, and
        equally frequent ones in alphabetical order.
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
    """Read triplets.json as `extract_triplets` wrote it.

    Raises:
        ArtifactError: The file is missing or damaged.
    """
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
