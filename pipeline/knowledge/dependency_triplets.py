"""Find triplets in a dependency parse: who does what to whom, or where.

The dependency relations are those of spaCy's English models (the CLEAR labels, as in OntoNotes). Triplets come from

- active and passive clauses, where the agent of a passive one is the head,
- participles ("a man playing") and relative clauses,
- subjects, verbs and objects that are joined by "and",
- verbs without an object, by their prepositions: (circle, move to, left).

An entity is a noun with its compound nouns, which is all that AKG-sv keeps. Here adjectives fill the room that
`max_entity_words` leaves, the one next to the noun first ("red circle"), because they are what an image tells best. In
captions with few adjectives, lone nouns stay as frequent as they were; `max_entity_words: 1` keeps adjectives out.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.knowledge.triplets import NOT_IN_ENTITIES, Triplet, make_triplet, word_set

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

SUBJECTS = ("nsubj", "nsubjpass")
RELATIVE_PRONOUNS = ("WDT", "WP")
# In "a lot of people" or "a group of men" the entity is what is counted.
MEASURES = word_set("lot couple bunch number pair group plenty dozen variety")
# In "in front of the car" the entity is what follows "of", and the rest belongs to the relation.
PLACES = word_set("front top middle center centre bottom side left right edge back")
# A word of one syllable that ends in consonant, vowel, consonant, as "tap", doubles its last letter before "-ing" and
# "-ed".
DOUBLING = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")
SIBILANTS = ("s", "x", "z", "ch", "sh", "o")  # before these "-s" becomes "-es"


def as_sentence(caption: str) -> str:
    """Give a caption the capital and full stop that parsers of written English expect."""
    text = " ".join(caption.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def find_triplets(doc: "Doc", max_entity_words: int) -> list[Triplet]:
    """Find the triplets of a parsed caption; returns each once, in the order of the verbs.

    Args:
        doc: The caption with tags, lemmas and dependencies.
        max_entity_words: Most words of an entity; longer ones make no triplet.
    """
    found: dict[Triplet, None] = {}
    for verb in doc:
        if not _is_verb(verb):
            continue
        for head, relation, tail in _clauses(verb):
            triplet = make_triplet(
                head=_entity_words(head, max_entity_words),
                relation=relation,
                tail=_entity_words(tail, max_entity_words),
                max_entity_words=max_entity_words,
            )
            if triplet is not None:
                found[triplet] = None
    return list(found)


def _clauses(verb: "Token") -> Iterator[tuple["Token", list[str], "Token"]]:
    """Find what a verb says; yields head, words of the relation, and tail."""
    subjects = _subjects(verb)
    particles = [child.lower_ for child in verb.children if child.dep_ == "prt" and not _nouns(child)]
    with_particle = [base_form(verb.lower_, verb.lemma_), *particles]
    if _is_passive(verb):
        agents = [noun for by in verb.children if by.dep_ == "agent" for noun in _nouns(by)]
        pairs = [(agent, patient) for agent in agents for patient in subjects]
    else:
        pairs = [(subject, tail) for subject in subjects for tail in _objects(verb)]
    for head, tail in pairs:
        yield head, with_particle, tail
    if not pairs:
        for words, tail in _places(verb):
            for subject in subjects:
                yield subject, [*with_particle, *words], tail


def base_form(word: str, lemma: str) -> str:
    """Correct the lemma of a verb where spaCy takes "riding" and "rides" for forms of "rid" instead of "ride".

    spaCy's rules offer both lemmas, and it takes the one without "e" if there is such a verb. English spelling tells
    them apart: the forms of "rid" are "ridding" and "rids".

    Args:
        word: The verb as it is in the caption, lower case.
        lemma: Its lemma as spaCy gives it.
    """
    without_e = word in (f"{lemma}ing", f"{lemma}ed") and DOUBLING.fullmatch(lemma)
    if without_e or (word == f"{lemma}es" and not lemma.endswith(SIBILANTS)):
        return f"{lemma}e"
    return lemma


def _is_verb(token: "Token") -> bool:
    return bool(token.tag_.startswith("VB")) and token.pos_ != "AUX"


def _is_passive(verb: "Token") -> bool:
    if any(child.dep_ in ("nsubjpass", "auxpass") for child in verb.children):
        return True
    if verb.tag_ != "VBN" or any(child.dep_ in ("nsubj", "aux") for child in verb.children):
        return False
    return verb.dep_ in ("acl", "advcl") or (verb.dep_ == "conj" and _is_passive(verb.head))


def _subjects(verb: "Token") -> list["Token"]:
    """Find the grammatical subjects of a verb: its own, or those that it shares with the word it depends on."""
    own = [child for child in verb.children if child.dep_ in SUBJECTS]
    if any(child.tag_ in RELATIVE_PRONOUNS for child in own) and verb.dep_ == "relcl":
        return [verb.head]
    if own:
        return [noun for child in own for noun in (child, *child.conjuncts)]
    if verb.dep_ == "acl" and verb.tag_ in ("VBG", "VBN"):
        return [verb.head]
    shares = verb.dep_ in ("conj", "advcl") or (verb.dep_ == "xcomp" and not _objects(verb.head))
    return _subjects(verb.head) if shares and _is_verb(verb.head) else []


def _objects(verb: "Token") -> list["Token"]:
    return [noun for child in verb.children if child.dep_ == "dobj" for noun in (child, *child.conjuncts)]


def _nouns(preposition: "Token") -> list["Token"]:
    return [noun for child in preposition.children if child.dep_ == "pobj" for noun in (child, *child.conjuncts)]


def _places(token: "Token") -> Iterator[tuple[list[str], "Token"]]:
    """Find the prepositions of a word, each with a noun it leads to; several in a row ("out of") count as one."""
    for preposition in token.children:
        if preposition.dep_ not in ("prep", "prt"):
            continue
        nouns = _nouns(preposition)
        for noun in nouns:
            further = list(_places(noun)) if noun.lower_ in PLACES else []
            of = [(words, tail) for words, tail in further if words[0] == "of"]
            for words, tail in of:
                yield [preposition.lower_, noun.lower_, *words], tail
            if not of:
                yield [preposition.lower_], noun
        if not nouns:
            for words, tail in _places(preposition):
                yield [preposition.lower_, *words], tail


def _entity_words(noun: "Token", max_words: int) -> list[str]:
    """List the lemmas of a noun, of the compound nouns before it and of as many adjectives as there is room for.

    Args:
        noun: The last word of the entity.
        max_words: Most words of an entity; compound nouns may exceed it, adjectives may not.

    Returns:
        The lemmas in the order of the caption; none if the word is no noun.
    """
    if noun.lemma_.lower() in MEASURES:
        counted = [of for of in noun.children if of.dep_ == "prep" and of.lower_ == "of"]
        for inner in (inner for of in counted for inner in _nouns(of)):
            return _entity_words(inner, max_words)
    called_noun = any(child.dep_ == "det" for child in noun.children)  # "the left" is tagged as an adjective
    if not (noun.tag_.startswith("NN") or (noun.tag_.startswith("JJ") and called_noun)):
        return []
    phrase, nouns, adjectives = {noun}, [noun.lemma_], list[str]()
    for before in reversed(noun.doc[: noun.i]):
        if before.dep_ not in ("compound", "amod") or before.head not in phrase:
            break
        phrase.add(before)
        (nouns if before.dep_ == "compound" and not adjectives else adjectives).insert(0, before.lemma_)
    adjectives = [word for word in adjectives if word.lower() not in NOT_IN_ENTITIES]
    room = max(0, max_words - len(nouns))
    return [*adjectives[len(adjectives) - min(room, len(adjectives)) :], *nouns]
