"""The groups of a data set's classes, which `group_classes` makes, as the parts of TSTL read them."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.artifact import read_json
from pipeline.errors import PipelineError
from pipeline.recognition.labels import Labels

HEAD = "group"  # of a selector, whose classes are the groups


@dataclass(frozen=True)
class Groups:
    """Groups of the classes of a data set with one head.

    Attributes:
        path: Path of the groups.json, for messages.
        names: A name for each group.
        of_class: The number of each class's group.
    """

    path: Path
    names: list[str]
    of_class: list[int]

    def classes_of(self, group: int) -> list[int]:
        """The classes of a group."""
        return [number for number, of in enumerate(self.of_class) if of == group]


def read_groups(path: Path, labels: Labels) -> Groups:
    """Read a groups.json.

    Args:
        path: The file.
        labels: The labels of the data set, whose classes the groups must be of.

    Raises:
        PipelineError: if it is missing, is not what `group_classes` writes, or groups other classes.
    """
    content = read_json(path, ["groups", "names"], "group_classes")
    (head, names), *more = labels.heads.items()
    of_head = content["groups"].get(head, {})
    numbers = [of_head.get(name) for name in names]
    known = range(len(content["names"]))
    if more or set(of_head) != set(names) or any(number not in known for number in numbers):
        raise PipelineError(f"{path}: these are no groups of the classes in {labels.path}: run group_classes again")
    return Groups(path, list(content["names"]), numbers)
