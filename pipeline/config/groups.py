"""Settings of groups of classes, one expert of TSTL for each."""

from pathlib import Path
from typing import Annotated, Literal

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
