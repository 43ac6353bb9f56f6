"""List clips that lie as numbered frames, each clip in a folder of its own."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.datasets.listing import Video, is_folder
from pipeline.errors import PipelineError, breaks_lines
from pipeline.video.frame_files import FrameFiles

MAX_LINKS = 10_000  # to folders, followed in one walk


@dataclass(frozen=True, kw_only=True)
class FrameFolder(Video):
    """A folder of frames, or a run of the frames in it; `size` is the bytes of all of them.

    Attributes:
        frames: Which files of the folder are the clip's frames.
        lacking: How many of the frames that it should have are not there.
        last: Number of the last frame in the folder.
        first: Number from which the frames in the folder count, 0 or 1.
    """

    frames: FrameFiles
    lacking: int
    last: int
    first: int


def beyond(frames: FrameFiles, last: int) -> int:
    """How many frames of a run, whose first number and count are known, come after the last one of the folder."""
    run = frames.wanted(())
    return min(max(run.stop - 1 - last, 0), len(run))


def list_frame_folders(source: Path, pattern: str) -> list[FrameFolder]:
    """List the folders, at any depth, that have frames in them, by the folder's name. Names and sizes alone are read.

    Args:
        source: The folder above them.
        pattern: Name of a frame's file with its number, such as `%05d.jpg`.

    Returns:
        The clips, sorted by id.

    Raises:
        PipelineError: if there is no such folder or no frame in it, or two folders have one name.
    """
    if not is_folder(source):
        raise PipelineError(
            f"`videos: {source}`: there is no such folder (relative paths start where Snakemake is called)"
        )
    found: dict[str, FrameFolder] = {}
    for clip in _walk(source, "", FrameFiles(pattern), frozenset(), [0]):
        other = found.setdefault(clip.id, clip)
        if other is not clip:
            raise PipelineError(f"`videos: {source}`: {other.path} and {clip.path} are both {clip.id}: keep one")
    if not found:
        raise PipelineError(f"`videos: {source}`: no folder in it has frames called `{pattern}`")
    return [found[clip] for clip in sorted(found)]


def frame_folder(folder: Path, clip: str, path: str, frames: FrameFiles) -> FrameFolder | None:
    """Count the frames of one folder; None if there is no such folder or no frame in it.

    Args:
        folder: The folder.
        clip: Id of the clip.
        path: Path of the folder below that of the data set.
        frames: Which of its files are frames.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return None
    return _counted(entries, clip, path, frames)


def _counted(entries: list[os.DirEntry[str]], clip: str, path: str, frames: FrameFiles) -> FrameFolder | None:
    found = {number: entry for entry in entries if (number := frames.number(entry.name)) is not None}
    if not found:
        return None
    size = sum(entry.stat().st_size for entry in found.values())
    lacking, first = len(frames.missing(found)), 0 if 0 in found else 1
    return FrameFolder(clip, path, size, frames=frames, lacking=lacking, last=max(found), first=first)


def _walk(
    folder: Path, path: str, frames: FrameFiles, above: frozenset[str], links: list[int]
) -> Iterator[FrameFolder]:
    """Give the folders with frames below one; `links` counts the links that were followed, in its one item."""
    here = os.path.realpath(folder)
    if here in above:
        return
    try:
        entries = list(os.scandir(folder))
        clip = _counted(entries, _id(path), path, frames) if path else None
    except OSError as error:
        raise PipelineError(f"`videos: {folder}`: cannot be listed ({error.strerror})") from error
    if clip is not None:
        yield clip
        return
    for entry in entries:
        if entry.is_dir() and not entry.name.startswith("."):
            links[0] += entry.is_symlink()
            if links[0] > MAX_LINKS:
                raise PipelineError(f"{folder}: more than {MAX_LINKS:,} links to folders")
            inner = f"{path}/{entry.name}" if path else entry.name
            yield from _walk(Path(entry.path), inner, frames, above | {here}, links)


def _id(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise PipelineError(f"{path!a}: the folder's name is not UTF-8: rename it") from error
    if breaks_lines(path):
        raise PipelineError(f"{path!a}: the folder's name holds a control character: rename it")
    return unicodedata.normalize("NFC", path.rpartition("/")[2])
