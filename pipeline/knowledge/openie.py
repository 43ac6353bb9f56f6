"""Read triplets from a file that an OpenIE system made of the training captions (CoreNLP: Angeli et al., 2015).

These forms are read:

- JSON of CoreNLP or of its wrappers, as `pipeline.knowledge.openie_json` lists it,
- CoreNLP's own text form: `confidence TAB subject TAB relation TAB object`,
- the form of Ollie and OpenIE 4 and 5: `0.93 (subject; relation; object)`, among the sentences that were read,
- the lines that AKG-sv keeps: `subject &object &relation`.

Before the first triplet there may be lines that the system logged. JSON with tags and lemmas gives the nouns alone for
entities, and verbs, particles and prepositions for relations. The words of the other forms are taken as they are.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.knowledge.openie_json import Parts, read_parts
from pipeline.knowledge.triplets import Triplet, make_triplet
from pipeline.vocabulary import split_words

LOGGED = re.compile(r"\[[^\]{}\"]*\]\s+[A-Za-z]")  # `[main] INFO edu.stanford.nlp...`; no JSON goes on like this
SCORED = re.compile(r"(?P<score>[0-9]*\.?[0-9]+(?:[eE]-?[0-9]+)?):?\s*(?:Context\(.*?\):)?\((?P<parts>.*)\)")
BEGINS_SCORED = re.compile(r"[0-9]*\.[0-9]+:?\s*(?:Context)?\(")
EXPECTED = (
    "expected `confidence TAB subject TAB relation TAB object`, or `0.93 (subject; relation; object)`, or `subject "
    "&object &relation`, or a file of CoreNLP's JSON"
)


def read_openie(path: Path, max_entity_words: int) -> Iterator[Triplet]:
    """Read the triplets of a file, in its order and as often as they occur in it.

    Args:
        path: The file, in any of the forms.
        max_entity_words: Most words of an entity; longer ones make no triplet.

    Raises:
        PipelineError: The file cannot be read, or a part of it has none of the forms.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors of Windows begin a file with a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(
            f"triplets.openie_file: {path} cannot be read ({error}); expected CoreNLP's output"
        ) from error
    for head, relation, tail in _parts(text, path):
        triplet = make_triplet(head=head, relation=relation, tail=tail, max_entity_words=max_entity_words)
        if triplet is not None:
            yield triplet


def _parts(text: str, path: Path) -> Iterator[Parts]:
    lines = [(number, line.rstrip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not LOGGED.match(line) or _columns(line)]
    for place, (_, line) in enumerate(lines):
        if line.lstrip()[0] in "{[":
            return read_parts("\n".join(line for _, line in lines[place:]), path)
        if _columns(line):
            return _text_parts(lines[place:], path)
    if lines:
        raise PipelineError(f"triplets.openie_file: {path} line {lines[0][0]}: {EXPECTED}")
    return iter(())


def _text_parts(lines: Sequence[tuple[int, str]], path: Path) -> Iterator[Parts]:
    """Read the lines from the first triplet on. Sentences may stand among scored triplets, and nothing among others."""
    among_sentences = SCORED.fullmatch(lines[0][1].strip()) is not None
    for number, line in lines:
        columns = _columns(line)
        if columns:
            head, relation, tail = columns
            yield split_words(head), split_words(relation), split_words(tail)
        elif not among_sentences or (BEGINS_SCORED.match(line.strip()) and not SCORED.fullmatch(line.strip())):
            raise PipelineError(f"triplets.openie_file: {path} line {number}: {EXPECTED}")


def _columns(line: str) -> tuple[str, str, str] | None:
    """Subject, relation and object of a line; None if it has none of the forms, or no object.

    Of several arguments of a relation the first is the object, without the letter that says it is a time or a place.
    """
    columns = line.split("\t")
    if len(columns) == 4 and _is_number(columns[0]):
        return columns[1], columns[2], columns[3]
    scored = SCORED.fullmatch(line.strip())
    if scored:
        parts = [part.strip() for part in scored["parts"].split(";")]
        return (parts[0], parts[1], re.sub(r"^[LT]:", "", parts[2])) if len(parts) >= 3 and parts[2] else None
    if line.count("&") == 2:
        head, tail, relation = line.split("&")
        return head, relation, tail
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
