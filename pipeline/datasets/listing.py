"""List the videos that the user brings: the files below a folder, or those that a list file names.

A video's id is its path relative to the folder, extension included and with `/` between its parts: two files of one
stem never collide, and no id changes when other videos are added. (`annotated.list_clips` gives the ids of published
annotations instead.) Listing reads only names and sizes, because the workflow does it whenever it is parsed.
"""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipeline.errors import PipelineError, breaks_lines
from pipeline.video.interval import Interval

# FFmpeg reads these, and cameras, phones and archives write them. Other files in the folder are ignored.
EXTENSIONS = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"}
    | {".vob", ".webm", ".wmv"}
)


MAX_LINKS = 10_000  # to folders, followed in one listing


@dataclass(frozen=True)
class Video:
    """A file of the data set, or an interval of one.

    Attributes:
        id: Path relative to the folder, in Unicode's composed form (a Mac spells accents in two characters), unless a
            table of clips or published annotations give it another id.
        path: The file's path as the file system spells it, relative to the folder; absolute only where a list file
            names a file elsewhere.
        size: Size of the file in bytes.
        interval: The part of the file that is meant; None for all of it.
    """

    id: str
    path: str
    size: int
    interval: Interval | None = None


def root_of(source: Path) -> Path:
    """The folder that the paths of the videos are relative to: for a list file, the one it lies in."""
    return source.parent if is_file(source) else source


def list_videos(source: Path) -> list[Video]:
    """List all the videos, sorted by id; no file but the list is opened.

    Args:
        source: A folder, or a list file: one path a line, relative to the list's folder or absolute.

    Raises:
        PipelineError: if the folder or a listed file is missing, a name is not valid, an id is there twice, or there is
            no video.
    """
    if is_file(source):
        videos = _listed(source)
    elif is_folder(source):
        try:
            videos = [_video(path, entry.stat().st_size) for path, entry in _walk(source, "", frozenset(), [])]
        except (OSError, RecursionError) as error:  # a folder that may not be read, or is nested far too deep
            raise PipelineError(f"`videos: {source}`: cannot be listed ({error})") from error
    else:
        raise PipelineError(
            f"`videos: {source}`: there is no such folder or list file (relative paths start where Snakemake is called)"
        )
    if not videos:
        raise PipelineError(f"`videos: {source}`: no video in it ({', '.join(sorted(EXTENSIONS))})")
    videos.sort(key=lambda video: video.id)
    for video, following in pairwise(videos):
        if video.id == following.id:
            raise PipelineError(f"`videos: {source}`: {video.id} is there twice ({video.path}, {following.path})")
    return videos


def _video(path: str, size: int) -> Video:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise PipelineError(f"{path!a}: the file's name is not UTF-8: rename it") from error
    if breaks_lines(path):  # logs and tables hold one name a line
        raise PipelineError(f"{path!a}: the file's name holds a control character: rename it")
    return Video(unicodedata.normalize("NFC", path), path, size)


def _walk(folder: Path, prefix: str, above: frozenset[str], links: list[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Find the video files below a folder, with their relative paths. Links are followed, hidden names skipped.

    Folders that link to one another have as many paths as there are orders of them, so the number of links that are
    followed is bounded; `links` collects them.
    """
    here = os.path.realpath(folder)
    if here in above:  # a link to a folder that this one lies in
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if entry.is_symlink():
                    links.append(entry.path)
                    if len(links) > MAX_LINKS:
                        raise PipelineError(f"{folder}: more than {MAX_LINKS:,} links to folders: name files in a list")
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", above | {here}, links)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS and entry.is_file():  # noqa: PTH122, much faster
                yield prefix + entry.name, entry


def _listed(source: Path) -> list[Video]:
    """Read a list file: one path a line, relative to its folder or absolute. Empty lines and `#` lines are skipped."""
    videos = []
    for number, line in enumerate(read_text(source).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        videos.append(listed_video(source, text, f"{source}:{number}"))
    return videos


def listed_video(source: Path, text: str, place: str) -> Video:
    """Find a file that a list names.

    Args:
        source: The list.
        text: A path, relative to the list's folder or absolute.
        place: Where the path stands, for messages.

    Raises:
        PipelineError: if there is no such file, or its name is not valid.
    """
    root, path = source.parent.absolute(), Path(text)
    if not is_file(root / path):
        raise PipelineError(f"{place}: there is no file {text} (relative paths start at {source.parent})")
    inside = path.relative_to(root) if path.is_absolute() and path.is_relative_to(root) else path
    return _video(os.path.normpath(inside), (root / path).stat().st_size)


def is_file(path: Path) -> bool:
    """Whether there is such a file; False too for a name that the file system does not take."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; False too for a name that the file system does not take."""
    try:
        return path.is_dir()
    except OSError:
        return False


def read_text(path: Path) -> str:
    """Read the text of a list or captions file.

    Raises:
        PipelineError: if it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path}: not UTF-8 (byte {error.start}): save it as UTF-8") from error
