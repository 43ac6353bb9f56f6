"""List the videos that the user brings: the files below a folder, or those that a list file names.

A video's id is its path relative to the folder, extension included and with `/` between its parts: two files of one
stem never collide, and no id changes when other videos are added. (`annotated.list_clips` gives the ids of published
annotations instead.) Listing reads only names and sizes, because the workflow does it whenever it is parsed.
"""

import os
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pipeline.datasets.folder_walk import FolderWalk
from pipeline.errors import PipelineError, breaks_lines
from pipeline.jobs.storage import MISSING, why_no_file
from pipeline.video.interval import Interval

# Names of files that FFmpeg reads as videos. Names that mostly mean something else are left out: sound (.m4a, .mka,
# .ogg), pictures (.heic, .avif), subtitles and playlists, raw pixels (.yuv, .rgb), whose size nobody tells, and .dat,
# .avs, .cgi, .swf. A list file may name any file, whatever it is called.
NAMES = {
    "MP4 and MOV": "3g2 3gp 3gp2 3gpp 3gpp2 f4v insv ismv k3g lrv m4v mj2 mov mp4 mp4v mpeg4 mpg4 mqv psp qt",
    "AVI, Matroska, Ogg": "amv avi divx xvid mk3d mkv webm ogm ogv ogx",
    "Windows, Flash, RealMedia, Vivo": "asf dvr-ms wm wmv wtv flv kux ivr nsv rm rmvb rv viv vivo",
    "program and transport streams of MPEG": (
        "evo m1v m2p m2v mod mp2v mpe mpeg mpg mpv pva tod ty ty+ vob vro m2t m2ts mts tp trp ts"
    ),
    "broadcast and editing, science, surveillance": "dif dv flm gxf imx lxf mxf nut nuv y4m cine ser dav ifv mxg",
    "one codec without a container": (
        "261 264 265 266 apv avc avs2 avs3 dnxhd drc evc h261 h263 h264 h265 h266 h26l hevc ipu ivf mjpeg mjpg obu rcv "
        "vc1 vvc"
    ),
    "animated pictures, and films of games": (
        "apng flc fli gif bik bmv moflex mods mvi pdv roq sga smk str thp usm xmv yop"
    ),
    "what downloaders write where no server told the kind": "unknown_video",
}
EXTENSIONS = frozenset(f".{name}" for names in NAMES.values() for name in names.split())


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
            videos = [_video(path, size) for path, size in FolderWalk(EXTENSIONS).files(source)]
        except (OSError, RecursionError) as error:  # a folder that may not be read, or is nested far too deep
            raise PipelineError(f"`videos: {source}`: cannot be listed ({error})") from error
    else:
        raise PipelineError(
            f"`videos: {source}`: there is no such folder or list file (relative paths start where Snakemake is called)"
        )
    if not videos:
        raise PipelineError(f"`videos: {source}`: no video in it{_because(source)}")
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


def passed_over(source: Path) -> list[str]:
    """Say what `list_videos` passes over below a folder and why, a line for each reason; nothing for a list file.

    Args:
        source: A folder or list file that `list_videos` lists.
    """
    if not is_folder(source):
        return []
    walk = FolderWalk(EXTENSIONS)
    with suppress(OSError, RecursionError, PipelineError):  # `list_videos` tells of them
        for _ in walk.files(source):
            pass
    return walk.passed_over.lines()


def _because(source: Path) -> str:
    """What lies there instead, where there is no video."""
    return "".join(f"; {line}" for line in passed_over(source))


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
    if (why := why_no_file(root / path)) is not None:
        hint = f" (relative paths start at {source.parent})" if why == MISSING else f": {why}"
        raise PipelineError(f"{place}: there is no file {text}{hint}")
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
