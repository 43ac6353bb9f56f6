"""Walk through a folder for files of certain extensions, and note what is passed over and why.

What cannot be looked at (a closed `lost+found`, a link to itself, a pipe) is passed over and stops nothing. Links are
followed. Folders that link to one another have as many paths as there are orders of them, so the number of links that
are followed is bounded.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import PipelineError, breaks_lines

MAX_LINKS = 10_000  # to folders, followed in one walk
NUM_NAMED = 3  # paths passed over for one reason that a line spells out


@dataclass
class PassedOver:
    """What lies below a folder and is not given.

    Attributes:
        extensions: Number of files by their extension in lower case; "" stands for none.
        others: Paths below the folder of everything else, by the reason.
    """

    extensions: Counter[str] = field(default_factory=Counter)
    others: dict[str, list[str]] = field(default_factory=dict)

    def note(self, path: str, reason: str) -> None:
        """Note what is passed over for another reason than its extension."""
        self.others.setdefault(reason, []).append(path)

    def lines(self) -> list[str]:
        """A line for each reason; equal folders give equal lines."""
        lines = []
        if self.extensions:
            by_number = sorted(self.extensions.items(), key=lambda kind: (-kind[1], kind[0]))
            kinds = ", ".join(f"{number:,} {_shown(name) or 'without extension'}" for name, number in by_number)
            files = "file is" if self.extensions.total() == 1 else "files are"
            lines.append(f"{self.extensions.total():,} {files} not called as videos are ({kinds})")
        for reason, paths in sorted(self.others.items()):
            named = ", ".join(_shown(path) for path in sorted(paths)[:NUM_NAMED])
            more = f" and {len(paths) - NUM_NAMED:,} more" if len(paths) > NUM_NAMED else ""
            lines.append(f"{reason}: {named}{more}")
        return lines


def _shown(path: str) -> str:
    return ascii(path)[1:-1] if breaks_lines(path) else path


@dataclass
class FolderWalk:
    """One walk through a folder.

    Attributes:
        extensions: Extensions of the files to give, in lower case and with their dots.
        passed_over: Fills while `files` goes on.
    """

    extensions: Collection[str]
    passed_over: PassedOver = field(default_factory=PassedOver)
    num_links: int = 0

    def files(self, folder: Path, prefix: str = "", above: frozenset[str] = frozenset()) -> Iterator[tuple[str, int]]:
        """Give the files, each by its path below the folder and its size in bytes.

        Args:
            folder: The folder.
            prefix: What stands before the names in it: its own path below the first folder, with a `/` behind.
            above: The real paths of the folders that it lies in.

        Raises:
            OSError: if the first folder cannot be listed.
            PipelineError: if there are too many links to folders.
        """
        here = os.path.realpath(folder)
        if here in above:
            self.passed_over.note(prefix[:-1], "leads back to a folder that it lies in")
            return
        try:
            with os.scandir(folder) as listed:
                entries = list(listed)
        except OSError as error:
            if not prefix:
                raise
            self.passed_over.note(prefix[:-1], f"cannot be listed ({error.strerror})")
            return
        for entry in entries:
            path = prefix + entry.name
            try:
                is_folder, size = entry.is_dir(), self._size(entry, path)
            except OSError as error:  # a link to itself, or what vanished meanwhile
                self.passed_over.note(path, f"cannot be looked at ({error.strerror})")
                continue
            if size is not None:
                yield path, size
            elif is_folder and not entry.name.startswith("."):
                self._count(folder, entry)
                yield from self.files(Path(entry.path), f"{path}/", above | {here})

    def _size(self, entry: os.DirEntry[str], path: str) -> int | None:
        """Bytes of a file to give; None for what is a folder or, as it notes, passed over."""
        if entry.name.startswith("."):
            self.passed_over.note(path, "hidden, because the name begins with a dot")
        elif not entry.is_dir():
            extension = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122, much faster
            if extension not in self.extensions:
                self.passed_over.extensions[extension] += 1
            elif entry.is_file():
                return entry.stat().st_size
            elif entry.is_symlink():
                self.passed_over.note(path, "a link that leads nowhere")
            else:
                self.passed_over.note(path, "neither a file nor a folder, but a pipe, a socket or a device")
        return None

    def _count(self, folder: Path, entry: os.DirEntry[str]) -> None:
        self.num_links += entry.is_symlink()
        if self.num_links > MAX_LINKS:
            raise PipelineError(f"{folder}: more than {MAX_LINKS:,} links to folders: name files in a list")
