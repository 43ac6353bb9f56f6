"""What stands for no caption: null, NaN, and the texts that programs write for these."""

import math

NULL_TEXTS = frozenset({"", "nan", "-nan", "null", "none", "na", "n/a", "<na>", "#n/a", "#na"})


def is_null(value: object) -> bool:
    """Whether a value of JSON is null, or the number NaN that pandas writes for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_null_text(text: str) -> bool:
    """Whether a text is empty, or no more than the name of null, in upper or lower case."""
    return text.strip().casefold() in NULL_TEXTS
