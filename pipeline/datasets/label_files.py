"""Read files of labels: lines of text, tables, and the names of classes in their order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.datasets.annotated import load_json, read_lines, require_file
from pipeline.datasets.near_names import nearest
from pipeline.datasets.text_tables import DELIMITERS, csv_rows
from pipeline.errors import PipelineError

NUMBERED = re.compile(r"(\d{1,9})[ \t,;]+(\S.*)")  # `1 ApplyEyeMakeup`
WHOLE = re.compile(r"[+-]?\d{1,9}")


def label_lines(path: Path, key: str, expected: str) -> Iterator[tuple[str, str]]:
    """Read the lines of a file with their places, "file:line", without blank ones.

    Args:
        path: The file.
        key: Setting that names it, for messages.
        expected: What a line should be, for messages.

    Raises:
        PipelineError: if the file is missing or empty, or is no text in UTF-8.
    """
    is_empty = True
    for number, line in read_lines(path, key):
        if "\0" in line:
            raise PipelineError(f"{path}: it holds NUL characters, as UTF-16 read for UTF-8 does: save it as UTF-8")
        is_empty = False
        yield f"{path}:{number}", line
    if is_empty:
        raise PipelineError(f"`{key}: {path}`: the file is empty: expected lines of {expected}")


def table_rows(path: Path, key: str, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Read the rows of a CSV or TSV file with their places; it may have other columns, too.

    Args:
        path: The file.
        key: Setting that names it, for messages.
        columns: Columns that it must have.

    Raises:
        PipelineError: if the file is missing or of another kind, lacks a column (the message says which may be meant)
            or a field, or has no row.
    """
    require_file(path, key)
    if path.suffix.lower() not in DELIMITERS:
        raise PipelineError(f"`{key}: {path}`: expected a table, .csv or .tsv, with {', '.join(columns)}")
    is_empty = True
    for number, row in csv_rows(path, lambda header: set(columns) <= set(header), f"with {', '.join(columns)}"):
        is_empty = False
        yield f"{path}:{number}", {name: str(value) for name, value in row.items()}
    if is_empty:
        raise PipelineError(f"`{key}: {path}`: no row below its header: expected one for each clip")


def whole_number(text: str, what: str, place: str) -> int:
    """Read a whole number, which pandas may have written as `7.0`.

    Raises:
        PipelineError: if it is none; the message names `what` it should be.
    """
    plain = text.strip().removesuffix(".0")
    if not WHOLE.fullmatch(plain):
        raise PipelineError(f"{place}: {what} is {text!r:.60}: expected a whole number")
    return int(plain)


def read_class_names(path: Path, key: str) -> list[str]:
    """Read the names of classes in the order of their numbers.

    The file has a name a line, perhaps with its number before it (UCF101); or is a JSON list of names, or an object of
    numbers by name (Something-Something); or a CSV file with the columns `id` and `key` or `name` (EPIC-Kitchens,
    Kinetics).

    Raises:
        PipelineError: if it is none of these, or the numbers are not 0, 1, 2, ... or 1, 2, 3, ...
    """
    if path.suffix.lower() in DELIMITERS:
        return _in_order(_of_table(path, key), path)
    if path.suffix.lower() == ".json":
        content = load_json(path, key)
        if isinstance(content, list) and content and all(isinstance(name, str) and name.strip() for name in content):
            return [name.strip() for name in content]
        if isinstance(content, dict) and content:
            pairs = [
                (whole_number(str(value), f"the number of {name!r:.60}", str(path)), name)
                for name, value in content.items()
            ]
            return _in_order(pairs, path)
        raise PipelineError(f"`{key}: {path}`: expected a list of names, or an object of name to number")
    return read_name_lines(path, key)


def read_name_lines(path: Path, key: str) -> list[str]:
    """Read the names of classes from a file of lines, perhaps with their numbers before them.

    Raises:
        PipelineError: if the file is missing or empty, or is no text in UTF-8.
    """
    lines = [line for _, line in label_lines(path, key, "names of classes")]
    numbered = [NUMBERED.fullmatch(line) for line in lines]
    pairs = [(int(match[1]), match[2]) for match in numbered if match]
    if len(pairs) == len(lines) and _starts(pairs):
        return _in_order(pairs, path)
    return lines


def _of_table(path: Path, key: str) -> list[tuple[int, str]]:
    pairs = []
    for place, row in table_rows(path, key, ["id"]):
        name = row.get("key") or row.get("name")
        if not name:
            near = nearest("name", list(row))
            raise PipelineError(
                f"{place}: there is no `key` and no `name` of a class{f' (is it `{near}`?)' if near else ''}"
            )
        pairs.append((whole_number(row["id"], "`id`", place), name.strip()))
    return pairs


def _starts(pairs: Sequence[tuple[int, str]]) -> bool:
    return sorted(number for number, _ in pairs) in (list(range(len(pairs))), list(range(1, len(pairs) + 1)))


def _in_order(pairs: Sequence[tuple[int, str]], path: Path) -> list[str]:
    if not pairs or not _starts(pairs):
        told = sorted({number for number, _ in pairs})
        raise PipelineError(
            f"{path}: the numbers of the {len(pairs)} classes are not 0, 1, 2 and so on, each once (nor from 1 on): "
            f"there are {', '.join(map(str, told[:3]))} to {told[-1] if told else 'none'}"
        )
    return [name for _, name in sorted(pairs)]


def numbers_of(names: Sequence[str]) -> dict[str, int]:
    """The number of each class by its name."""
    return {name: number for number, name in enumerate(names)}


def existing(folder: Path, names: Sequence[str], key: str) -> Path:
    """The one file of a folder that has one of some names, as published and as older releases called it.

    Args:
        folder: The folder.
        names: The names, of which one is expected.
        key: Setting that names the folder, for messages.

    Raises:
        PipelineError: if there is none, or there are two.
    """
    found = found_files(folder, names)
    if not found:
        raise PipelineError(
            f"`{key}: {folder}`: there is no {' and no '.join(names)} in it (relative paths start where Snakemake is "
            "called)"
        )
    if len(found) > 1:
        raise PipelineError(f"`{key}: {folder}`: {found[0].name} and {found[1].name} are there: keep one")
    return found[0]


def found_files(folder: Path, names: Sequence[str]) -> list[Path]:
    """Those of some files that a folder has."""
    return [folder / name for name in names if (folder / name).is_file()]
