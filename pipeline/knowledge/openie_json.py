"""Read the parts of triplets from the JSON of CoreNLP's OpenIE and of its wrappers.

A sentence with its tokens is one of

- CoreNLP's own: `openie` (of `subject`, `subjectSpan`, ...) and `tokens`, in a document's `sentences`,
- protobuf's, which the Python clients give: `openieTriple` (of `subject`, `subjectTokens`, ...) and `token`, in a
  document's `sentence`.

Wrappers also give triplets alone, as objects of `subject`, `relation` and `object`. Any of these may stand in lists, in
lists of lists, or one a line.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.vocabulary import split_words

NOUNS = ("NN",)
VERBS = ("VB", "IN", "TO", "RP")
TAGS = {"subject": NOUNS, "relation": VERBS, "object": NOUNS}

Parts = tuple[Sequence[str], Sequence[str], Sequence[str]]  # words of head, relation, tail


def read_parts(text: str, path: Path) -> Iterator[Parts]:
    """Read the words of each triplet.

    Args:
        text: The JSON: one value, or one a line.
        path: Its file, for messages.

    Raises:
        PipelineError: It is no JSON, or has none of the forms.
    """
    try:
        for document in _documents(text):
            yield from _found(document)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise PipelineError(
            f"triplets.openie_file: {path} is not CoreNLP's JSON ({error!r}); expected `sentences`, each with `openie` "
            "(annotators tokenize, pos, lemma, depparse, natlog, openie; outputFormat json), or protobuf's `sentence`, "
            "each with `openieTriple`, or objects of `subject`, `relation`, `object`"
        ) from error


def _documents(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.split("\n") if line.strip()]  # one document a line


def _found(value: Any) -> Iterator[Parts]:
    """Give the triplets of a document, of a triplet alone, or of a list of either."""
    if isinstance(value, list):
        for item in value:
            yield from _found(item)
    elif "sentence" in value:
        sentences = value["sentence"]
        if not any("openieTriple" in sentence for sentence in sentences):  # one without triplets does not have it
            raise KeyError("openieTriple")
        for sentence in sentences:
            yield from (_words_of(found, sentence.get("token", [])) for found in sentence.get("openieTriple", []))
    elif "subject" in value:
        yield _words_of(value, [])
    else:
        for sentence in value["sentences"]:
            yield from (_words_of(found, sentence.get("tokens", [])) for found in sentence["openie"])


def _words_of(found: Mapping[str, Any], tokens: Sequence[Mapping[str, Any]]) -> Parts:
    head, relation, tail = (_words(found, part, tokens) for part in TAGS)
    return head, relation, tail


def _words(found: Mapping[str, Any], part: str, tokens: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the lemmas of a part's nouns or verbs; where tokens or their places are not told, all its words."""
    if tokens and f"{part}Span" in found:
        start, end = found[f"{part}Span"]
        chosen = tokens[start:end]
    elif tokens and found.get(f"{part}Tokens"):
        chosen = [tokens[place.get("tokenIndex", 0)] for place in found[f"{part}Tokens"]]  # protobuf may leave out a 0
    else:
        return split_words(found[part])
    return [word for token in chosen if token["pos"].startswith(TAGS[part]) for word in split_words(token["lemma"])]
