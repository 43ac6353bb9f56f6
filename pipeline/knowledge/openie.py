"""Read triplets from a file that CoreNLP's OpenIE made of the training captions (Angeli et al., 2015).

Three forms are read:

- the JSON of CoreNLP's server or command line: `sentences` with `openie` and `tokens`, as one document, a list of
  documents, or one document a line,
- CoreNLP's own text form: `confidence TAB subject TAB relation TAB object`,
- the lines that AKG-sv keeps: `subject &object &relation`.

JSON has tags and lemmas, so the nouns alone are taken for entities, and verbs, particles and prepositions for
relations. The words of the text forms are taken as they are.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.knowledge.triplets import Triplet, make_triplet
from pipeline.vocabulary import split_words

NOUNS = ("NN",)
VERBS = ("VB", "IN", "TO", "RP")


def read_openie(path: Path, max_entity_words: int) -> Iterator[Triplet]:
    """Read the triplets of a file, in its order and as often as they occur in it.

    Args:
        path: The file, in any of the three forms.
        max_entity_words: Most words of an entity; longer ones make no triplet.

    Raises:
        PipelineError: The file cannot be read, or a part of it has none of the forms.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(
            f"triplets.openie_file: {path} cannot be read ({error}); expected CoreNLP's output"
        ) from error
    parts = _json_parts(text, path) if text.lstrip()[:1] in ("{", "[") else _text_parts(text, path)
    for head, relation, tail in parts:
        triplet = make_triplet(head=head, relation=relation, tail=tail, max_entity_words=max_entity_words)
        if triplet is not None:
            yield triplet


Parts = tuple[Sequence[str], Sequence[str], Sequence[str]]  # words of head, relation, tail


def _text_parts(text: str, path: Path) -> Iterator[Parts]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        columns = line.split("\t")
        if len(columns) == 4 and _is_number(columns[0]):
            _, head, relation, tail = columns
        elif line.count("&") == 2:
            head, tail, relation = line.split("&")
        else:
            raise PipelineError(
                f"triplets.openie_file: {path} line {number}: expected `confidence TAB subject TAB relation TAB "
                "object`, or `subject &object &relation`, or a file of CoreNLP's JSON"
            )
        yield split_words(head), split_words(relation), split_words(tail)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _json_parts(text: str, path: Path) -> Iterator[Parts]:
    try:
        for document in _documents(text):
            for sentence in document["sentences"]:
                tokens = sentence.get("tokens", [])
                for found in sentence["openie"]:
                    yield (
                        _words(found, "subject", NOUNS, tokens),
                        _words(found, "relation", VERBS, tokens),
                        _words(found, "object", NOUNS, tokens),
                    )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise PipelineError(
            f"triplets.openie_file: {path} is not CoreNLP's JSON ({error!r}); expected `sentences`, each with `openie` "
            "(annotators tokenize, pos, lemma, depparse, natlog, openie; outputFormat json)"
        ) from error


def _documents(text: str) -> list[Any]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]  # one document a line
    return content if isinstance(content, list) else [content]


def _words(
    found: Mapping[str, Any], part: str, tags: tuple[str, ...], tokens: Sequence[Mapping[str, Any]]
) -> list[str]:
    """List the lemmas of those tokens of a part that have one of the tags; without tokens or span, all its words."""
    if not tokens or f"{part}Span" not in found:
        return split_words(found[part])
    start, end = found[f"{part}Span"]
    return [
        word for token in tokens[start:end] if token["pos"].startswith(tags) for word in split_words(token["lemma"])
    ]
