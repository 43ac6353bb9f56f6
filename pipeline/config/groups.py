"""Settings of groups of classes, one expert of TSTL for each."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.config.types import Count, Settings


class GroupFileSettings(Settings):
    """Groups that a file lists (JSON): for each group its classes, by name, or by place in the alphabetical order."""

    kind: Literal["file"]
    file: Path


class ConsecutiveGroupsSettings(Settings):
    """Classes that follow one another are a group; groups differ by at most one class."""

    kind: Literal["consecutive"]
    number: Count


class ConfusedGroupsSettings(Settings):
    """Classes that a trained experiment confuses on the validation split are a group."""

    kind: Literal["confusions"]
    experiment: str
    number: Count


GroupsSettings = Annotated[
    GroupFileSettings | ConsecutiveGroupsSettings | ConfusedGroupsSettings, Field(discriminator="kind")
]


def number_listed(path: Any) -> int | None:
    """How many groups a file lists; None if it is not there yet, or is malformed, which `group_classes` reports.

    Args:
        path: The setting `file`, which may be anything.
    """
    if not isinstance(path, str | Path) or not Path(path).is_file():
        return None
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return len(content) if isinstance(content, list) else None
