"""Remember what was found out about a file, as long as it is the last file that was asked about.

Clips of one long file come one after another, and finding out which frames it has means reading all its packets. One
file is remembered and no more, so that the memory of a process stays that of one file.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

Found = TypeVar("Found")
Stamp = tuple[Path, int, int, int]  # path, bytes, time of the last change in nanoseconds, and the file's number


def stamp_of(path: Path) -> Stamp:
    """What tells a file from another one, and from itself after it was written anew."""
    status = path.stat()
    return path.absolute(), status.st_size, status.st_mtime_ns, status.st_ino


@dataclass
class LastFile(Generic[Found]):
    """What was found out about one file.

    Attributes:
        kept: The file's stamp and what was found; None before the first file.
    """

    kept: tuple[Stamp, Found] | None = field(default=None)

    def recall(self, stamp: Stamp) -> Found | None:
        """What was kept for the file of this stamp; None if another file was the last, or it was changed since."""
        kept = self.kept
        return kept[1] if kept is not None and kept[0] == stamp else None

    def keep(self, stamp: Stamp, found: Found) -> None:
        """Keep what was found for the file of this stamp, in the place of what was kept."""
        self.kept = (stamp, found)
