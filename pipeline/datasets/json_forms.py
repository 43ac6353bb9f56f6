"""Tell by a JSON file's keys which kind of data set reads it, for the message to somebody who wrote another kind."""

from typing import Any


def other_kind(content: Any) -> str:
    """End of a message: the kind of data set that reads this content; empty if none is known to.

    Args:
        content: Content of a JSON file that the configured kind cannot read.
    """
    kind = _kind_of(content)
    return f"; it looks like a file for `kind: {kind}`" if kind else ""


def _kind_of(content: Any) -> str | None:
    first = next(iter(content.values() if isinstance(content, dict) else content), None) if content else None
    first_keys = set(first) if isinstance(first, dict) else set()
    if isinstance(content, dict):
        if "images" in content:
            return "coco_captions"
        if "database" in content or first_keys & {"timestamps", "annotations"}:
            return "dense_captions"
        if {"videos", "sentences"} & content.keys():
            return "msrvtt"
        return "msvd" if isinstance(first, list) else None
    if first_keys & {"enCap", "chCap"}:
        return "vatex"
    return "dense_captions" if "timestamps" in first_keys else "folder" if "caption" in first_keys else None
