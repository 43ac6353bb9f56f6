"""Read JSON without losing what an object holds twice.

JSON allows a key to stand twice in an object, as happens where annotations are joined by hand. Python's reader keeps
the last value and forgets the others.
"""

import json
import reprlib
from typing import Any

from pipeline.errors import PipelineError


class _RepeatedKeyError(Exception):
    """Its text is the key."""


def parse_json(text: str, place: str) -> Any:
    """Read a text of JSON. A key may be repeated with an equal value.

    Args:
        text: The text.
        place: File, and line if there is one, for messages.

    Raises:
        PipelineError: if it is no JSON, or an object holds a key twice with different values.
    """
    try:
        return json.loads(text, object_pairs_hook=_whole_object)
    except _RepeatedKeyError as error:
        raise PipelineError(
            f"{place}: the key {reprlib.repr(str(error))} stands twice in one object, with different values: join them "
            "or remove one"
        ) from None
    except (ValueError, RecursionError) as error:  # a thousand brackets exhaust the parser
        raise PipelineError(f"{place}: no JSON ({error})") from error


def _whole_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        for key, value in pairs:
            if found[key] != value:
                raise _RepeatedKeyError(key)
    return found
