"""What is in a folder of results: artifacts, what unfinished work left behind, links and files that are not ours."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.workflow.paths import ARTIFACTS, identify

# Hidden siblings: `.partial` holds videos done so far, `.new` what is being written, `.removed` what is being deleted.
HIDDEN = re.compile(r"\.(?P<name>.+)\.(?P<suffix>partial|new|removed)")
MADE = re.compile(r"datasets/[^/]+/made/\d\d\d+/([^/]+\.(mp4|webm|avi)|\.journal\.jsonl)")


@dataclass(frozen=True)
class Found:
    """An artifact.

    Attributes:
        kind: A key of ARTIFACTS.
        names: The names in its path.
        place: What is deleted with it: the folder of a store, or the file. It is no link, and no folder above it is.
        target: What Snakemake calls it.
    """

    kind: str
    names: dict[str, str]
    place: Path
    target: str

    @property
    def is_store(self) -> bool:
        """Whether it is a Zarr store and not a file."""
        return ARTIFACTS[self.kind].endswith("/zarr.json")

    @property
    def file(self) -> Path:
        """The file that Snakemake looks at: of a store its root."""
        return self.place / "zarr.json" if self.is_store else self.place


@dataclass(frozen=True)
class Leftover:
    """A hidden sibling of an artifact.

    Attributes:
        place: The file or folder.
        of: The artifact that it was to become.
        is_progress: Whether it holds finished videos of an artifact that does not exist: the next job goes on from it.
    """

    place: Path
    of: Found
    is_progress: bool


@dataclass
class Inventory:
    """All that is below a folder of results; links are named and never followed.

    Attributes:
        results: The folder, without links in its path.
        project: The folder it is in: relative paths in artifacts start there. `results` itself may be a link.
        artifacts: By path.
        leftovers: By path.
        links: Where an artifact, or a folder, should be.
        made: Generated videos, and the journal of the stage that makes them; they belong to the list beside them.
        foreign: Files that are not ours.
        unreadable: Folders that cannot be listed, with the reason.
    """

    results: Path
    project: Path
    artifacts: list[Found] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    made: list[Path] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)

    def videos_beside(self, found: Found) -> list[Path]:
        """Generated videos beside a list of them, and their journal."""
        return [path for path in self.made if path.parent == found.place.parent]


def take_inventory(results: Path) -> Inventory:
    """List what is in a folder of results.

    Raises:
        PipelineError: if there is no such folder.
    """
    if not results.is_dir():
        raise PipelineError(f"{results}: there is no such folder: name the folder `results` of a project")
    project = Path(os.path.abspath(results)).parent  # noqa: PTH100, resolving would follow links
    inventory = Inventory(results.resolve(), project)
    _walk(inventory, inventory.results)
    return inventory


def _walk(inventory: Inventory, folder: Path) -> None:
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:  # no right to, or a bad disk: it is told of, and the others are looked at
        inventory.unreadable[folder] = str(error)
        return
    for entry in entries:
        path = Path(entry.path)
        below = path.relative_to(inventory.results).as_posix()
        hidden = HIDDEN.fullmatch(entry.name)
        if entry.is_symlink():
            inventory.links.append(path)
        elif hidden and (origin := _origin(inventory, path.with_name(hidden["name"]))):
            is_progress = hidden["suffix"] == "partial" and not (origin.place / "zarr.json").exists()
            inventory.leftovers.append(Leftover(path, origin, is_progress))
        elif found := _artifact(path, below, is_folder=entry.is_dir()):
            inventory.artifacts.append(found)
        elif entry.is_dir():
            _walk(inventory, path)
        else:
            (inventory.made if MADE.fullmatch(below) else inventory.foreign).append(path)


def _artifact(path: Path, below: str, is_folder: bool) -> Found | None:
    target = f"results/{below}/zarr.json" if is_folder else f"results/{below}"
    identity = identify(target) if is_folder == (path.suffix == ".zarr") else None
    return Found(*identity, path, target) if identity else None


def _origin(inventory: Inventory, path: Path) -> Found | None:
    """The artifact that a hidden sibling was to become; of a generated video, the list it would stand in."""
    below = path.relative_to(inventory.results).as_posix()
    if MADE.fullmatch(below):
        path = path.with_name("list.json")
        below = path.relative_to(inventory.results).as_posix()
    return _artifact(path, below, is_folder=path.suffix == ".zarr")


def size_of(place: Path) -> int:
    """Bytes of a file, or of all that is in a folder; links count for themselves."""
    if not place.is_dir():
        return place.lstat().st_size
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(place) for name in names)
