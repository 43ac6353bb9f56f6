"""Captions that stand for none: what pandas and others write where there is no text."""

import math

NULL_TEXTS = frozenset({"NULL", "null", "NaN", "nan", "NA", "N/A", "n/a", "<NA>", "None"})


def is_null(caption: object) -> bool:
    """Whether a value stands for no caption: null, the number NaN, or a text that is nothing but the name of these."""
    if isinstance(caption, float):
        return math.isnan(caption)
    return caption is None or (isinstance(caption, str) and caption.strip() in NULL_TEXTS)
