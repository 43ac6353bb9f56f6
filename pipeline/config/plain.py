"""Check that configurations are plain data: no objects, no circles, no huge aliases, no programs in a template.

Snakemake reads YAML with PyYAML's `FullLoader`, which makes dates and names of Python too, and it runs the Python of a
file that says `__use_yte__: true`. Aliases let a kilobyte of YAML stand for gigabytes.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import PipelineError, breaks_lines

MAX_VALUES = 100_000  # any overlay of configs/ makes fewer than a thousand
MAX_DEPTH = 30
MAX_TEXT = 4096  # characters; a path is no longer
MAX_INT = 2**63 - 1
TEMPLATE = "__use_yte__"
WILDCARD = re.compile(r"\{\s*\w+\s*[,}]")


def require_plain(raw: Mapping[str, Any]) -> None:
    """Check that a configuration can be written as JSON of a sensible size.

    Raises:
        PipelineError: naming the place of the first value that is none of mapping, list, text, number, true, false and
            null, or that makes the whole too deep or too large.
    """
    waiting: list[tuple[str, Any, int]] = [("", raw, 0)]
    num_values = 0
    while waiting:
        place, value, depth = waiting.pop()
        num_values += 1
        if num_values > MAX_VALUES:
            raise PipelineError(f"config: more than {MAX_VALUES:,} values, aliases written out: too many")
        if depth > MAX_DEPTH:
            raise PipelineError(f"config: `{place[:80]}...`: deeper than {MAX_DEPTH} levels, or an alias of itself")
        if isinstance(value, Mapping):
            for key, inner in value.items():
                problem = None if isinstance(key, str) else f"a key must be a text, not {type(key).__name__}"
                _refuse(place, problem or _problem(key))
                waiting.append((f"{place}.{key}" if place else key, inner, depth + 1))
        elif isinstance(value, list | tuple):
            waiting += [(f"{place}.{number}", inner, depth + 1) for number, inner in enumerate(value[: MAX_VALUES + 1])]
        else:
            _refuse(place, _problem(value))


def _refuse(place: str, problem: str | None) -> None:
    if problem is not None:
        raise PipelineError(f"config: `{place[:80] or 'its top'}`: {problem}")


def _problem(value: object) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return None if abs(value) <= MAX_INT else "a whole number beyond 64 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else "a number must be finite"
    if not isinstance(value, str):
        return f"a {type(value).__name__} is no plain value: put a text in quotes"
    if len(value) > MAX_TEXT:
        return f"a text of {len(value):,} characters, expected at most {MAX_TEXT:,}"
    if WILDCARD.search(value):
        return f"the text {value[:40]!r}: Snakemake would take the name in braces for a wildcard: rename the file"
    return f"the text {value[:40]!r} holds a control character" if breaks_lines(value) else None


def require_no_template(*files: str | Path) -> None:
    """Check that configuration files ask for no program to be run, before Snakemake reads them.

    Args:
        files: Configuration files; one that does not exist is passed over, because Snakemake reports it.

    Raises:
        PipelineError: if a file says `__use_yte__`, or is no plain YAML.
    """
    for file in files:
        if Path(file).is_file():
            _refuse_template(Path(file))


def _refuse_template(path: Path) -> None:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise PipelineError(f"config: {path}: no plain YAML ({reason})") from error
    if isinstance(content, dict) and TEMPLATE in content:
        raise PipelineError(f"config: {path}: `{TEMPLATE}` would run the Python in it: write the values out")
