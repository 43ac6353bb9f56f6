"""List what is in a folder of results: artifacts, what unfinished work left behind, links, and other files."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.workflow.paths import ARTIFACTS, identify

# Hidden siblings: `.partial` holds videos done so far, `.new` what is being written, `.removed` what is being deleted.
HIDDEN = re.compile(r"\.(?P<name>.+)\.(?P<suffix>partial|new|removed)")
MADE = re.compile(r"datasets/[^/]+/made/\d\d\d+/([^/]+\.(mp4|webm|avi)|\.journal\.jsonl)")
DRAWN = re.compile(r"explanations/[^/]+/overlays/\d\d\d+-(caption|\d\d\d+)\.(png|mp4)")
BESIDE = re.compile(r"report/((data|page)\.js|(vendor|media|maps)/.+)")  # what the report page loads


@dataclass(frozen=True)
class Found:
    """An artifact in the results.

    Attributes:
        kind: A key of ARTIFACTS, such as `frames`.
        names: The names in its path, such as `{"dataset": "shapes", "shard": "003"}`.
        place: Folder of the store, or the file. Neither it nor a folder between the results and it is a link.
        target: Path of its file as Snakemake calls it, from `results/` on; empty for a store outside any results.
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
        """The file that Snakemake looks at: the root `zarr.json` of a store, or the file itself."""
        return self.place / "zarr.json" if self.is_store else self.place


@dataclass(frozen=True)
class Leftover:
    """A hidden sibling of an artifact, which a job or a removal left behind.

    Attributes:
        place: The hidden file or folder.
        of: The artifact that it was to become.
        is_progress: Whether it holds finished videos of an artifact that does not exist: the next job goes on from it.
    """

    place: Path
    of: Found
    is_progress: bool


@dataclass
class Inventory:
    """All that is below a folder of results. Links are listed and never followed.

    Attributes:
        results: The folder, without links in its path.
        project: The folder it is in: relative paths in artifacts start there. `results` itself may be a link.
        artifacts: The artifacts, in the order of their paths.
        leftovers: The hidden siblings of artifacts, in the order of their paths.
        links: All links, which may stand where an artifact or a folder should be.
        made: Generated videos with the journal of the stage that makes them, and what is drawn of explanations, which
            belong to the list beside them; and what the report page loads, which belongs to the page.
        foreign: Files that the workflow did not make.
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
        """Generated videos with their journal, or pictures and films, beside a list of them; what a page loads."""
        folder, is_page = found.place.parent, found.kind == "report"
        return [path for path in self.made if path.parent == folder or (is_page and folder in path.parents)]


def take_inventory(results: Path, part: Path | None = None) -> Inventory:
    """List what is in a folder of results.

    Args:
        results: The folder.
        part: A folder or an artifact in it, to list this alone.

    Raises:
        PipelineError: if there is no such folder.
    """
    if not results.is_dir():
        raise PipelineError(f"{results}: there is no such folder: name the folder `results` of a project")
    project = Path(os.path.abspath(results)).parent  # noqa: PTH100, resolving would follow links
    inventory = Inventory(results.resolve(), project)
    if part is None or part.resolve() == inventory.results:
        _walk(inventory, inventory.results)
    else:
        _add(inventory, part.resolve())
    return inventory


def _walk(inventory: Inventory, folder: Path) -> None:
    try:
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
    except OSError as error:  # no permission, or a bad disk: the folder is reported, and the others are listed
        inventory.unreadable[folder] = str(error)
        return
    for entry in entries:
        _add(inventory, Path(entry.path))


def _add(inventory: Inventory, path: Path) -> None:
    below = path.relative_to(inventory.results).as_posix()
    hidden = HIDDEN.fullmatch(path.name)
    if path.is_symlink():
        inventory.links.append(path)
    elif hidden and (origin := _origin(inventory, path.with_name(hidden["name"]))):
        is_progress = hidden["suffix"] == "partial" and not (origin.place / "zarr.json").exists()
        inventory.leftovers.append(Leftover(path, origin, is_progress))
    elif found := _artifact(path, below, is_folder=path.is_dir()):
        inventory.artifacts.append(found)
    elif path.is_dir():
        _walk(inventory, path)
    else:
        is_made = MADE.fullmatch(below) or DRAWN.fullmatch(below) or BESIDE.fullmatch(below)
        (inventory.made if is_made else inventory.foreign).append(path)


def _artifact(path: Path, below: str, is_folder: bool) -> Found | None:
    target = f"results/{below}/zarr.json" if is_folder else f"results/{below}"
    identity = identify(target) if is_folder == (path.suffix == ".zarr") else None
    return Found(*identity, path, target) if identity else None


def _origin(inventory: Inventory, path: Path) -> Found | None:
    """The artifact that a hidden sibling belongs to; for one of a video or picture, the list beside it."""
    below = path.relative_to(inventory.results).as_posix()
    for pattern, beside in ((MADE, "list.json"), (DRAWN, "index.json")):
        if pattern.fullmatch(below):
            path = path.with_name(beside)
            below = path.relative_to(inventory.results).as_posix()
    return _artifact(path, below, is_folder=path.suffix == ".zarr")


def size_of(place: Path) -> int:
    """Bytes of a file, or of all files in a folder. A link counts with its own size, not that of its target."""
    if not place.is_dir():
        return place.lstat().st_size
    return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(place) for name in names)
