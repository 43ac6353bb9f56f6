"""Read the rows of tables that users write: CSV and TSV with a header, JSON Lines, and lists of objects in JSON."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pipeline.datasets.json_forms import other_kind
from pipeline.datasets.listing import read_text
from pipeline.datasets.strict_json import parse_json
from pipeline.errors import PipelineError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
OTHER_DELIMITERS = (";", "\t", ",")  # spreadsheets of many countries separate by semicolons
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
JSON_LINES = (".jsonl", ".ndjson")

Row = tuple[int, Mapping[str, object]]  # number of its line from 1, and its fields by column


def json_lines(path: Path, example: str) -> Iterator[Row]:
    """Read the objects of a file of JSON Lines; empty lines are skipped.

    Args:
        path: The file.
        example: What a line should be like, for messages.

    Raises:
        PipelineError: naming file and line, for a line that is no JSON object, or holds a key twice.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):  # a text may hold other line separators
        if not line.strip():
            continue
        record = parse_json(line, f"{path}:{number}")
        if not isinstance(record, dict):
            raise PipelineError(f"{path}:{number}: expected {example}")
        yield number, record


def json_objects(path: Path, example: str) -> Iterator[Row]:
    """Read the objects of a JSON file that holds a list of them, or one a line; their numbers count from 1.

    Args:
        path: The file.
        example: What an object should be like, for messages.

    Raises:
        PipelineError: if the file is neither, or an object holds a key twice.
    """
    text = read_text(path)
    if _is_object(text.lstrip().partition("\n")[0]):
        yield from json_lines(path, example)
        return
    content = parse_json(text, str(path))
    if not isinstance(content, list):
        raise PipelineError(f"{path}: expected a list of {example}{other_kind(content)}")
    for number, record in enumerate(content, start=1):
        if not isinstance(record, dict):
            raise PipelineError(f"{path}:{number}: expected {example}")
        yield number, record


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _header(lines: list[str], delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader(lines[:1], delimiter=delimiter), [])]
    except csv.Error:
        return []


def csv_rows(path: Path, fits: Callable[[list[str]], bool], expected: str) -> Iterator[Row]:
    """Read the rows of a CSV or TSV file; empty lines are skipped, columns come in any order.

    Its fields are separated as its suffix tells or, if its header fits so, by another of semicolon, tab and comma.

    Args:
        path: The file.
        fits: Whether a header, the names of the columns, is one that is expected.
        expected: What the header should be, for messages.

    Raises:
        PipelineError: naming file and line, for another header, another number of fields, or a line that is no CSV.
    """
    lines = read_text(path).splitlines(keepends=True)
    if lines and "\0" in lines[0]:
        raise PipelineError(f"{path}: it holds NUL characters, as UTF-16 read for UTF-8 does: save it as UTF-8")
    usual = DELIMITERS[path.suffix.lower()]
    delimiter = next((of for of in (usual, *OTHER_DELIMITERS) if fits(_header(lines, of))), usual)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not fits(header) or len({name.casefold() for name in header}) < len(header):
            raise PipelineError(f"{path}:1: expected the header {expected}, found {header}")
        start = reader.line_num + 1  # a quoted field may span lines
        for row in reader:
            if row and len(row) != len(header):
                raise PipelineError(
                    f"{path}:{start}: expected {len(header)} fields, found {len(row)}: quote fields that hold a "
                    f"{DELIMITER_NAMES[delimiter]}"
                )
            if row:
                yield start, dict(zip(header, row, strict=True))
            start = reader.line_num + 1
    except csv.Error as error:
        raise PipelineError(f"{path}:{reader.line_num}: no CSV ({error})") from error
