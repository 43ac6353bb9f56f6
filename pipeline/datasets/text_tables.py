"""Read the rows of tables that users write: CSV and TSV with a header, and JSON Lines."""

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pipeline.datasets.listing import read_text
from pipeline.datasets.strict_json import parse_json
from pipeline.errors import PipelineError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
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


def csv_rows(path: Path, needed: Collection[str], optional: Collection[str], expected: str) -> Iterator[Row]:
    """Read the rows of a CSV or TSV file, told by its suffix; empty lines are skipped, columns come in any order.

    Args:
        path: The file.
        needed: Columns that its header must name.
        optional: Columns that it may name.
        expected: What the header should be, for messages.

    Raises:
        PipelineError: naming file and line, for another header, another number of fields, or a line that is no CSV.
    """
    delimiter = DELIMITERS[path.suffix.lower()]
    reader = csv.reader(read_text(path).splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        known = set(needed) <= set(header) <= {*needed, *optional}
        if not known or len(set(header)) < len(header):
            raise PipelineError(f"{path}:1: expected the header {expected}, found {header}")
        start = reader.line_num + 1  # a quoted field may span lines
        for row in reader:
            if row and len(row) != len(header):
                raise PipelineError(
                    f"{path}:{start}: expected {len(header)} fields, found {len(row)}: quote fields that hold a "
                    f"{'tab' if delimiter == chr(9) else 'comma'}"
                )
            if row:
                yield start, dict(zip(header, row, strict=True))
            start = reader.line_num + 1
    except csv.Error as error:
        raise PipelineError(f"{path}:{reader.line_num}: no CSV ({error})") from error
