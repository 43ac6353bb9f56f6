"""Read tables of clips, which are files and intervals of files (`videos: clips.csv` of the data set `folder`).

A row has a `video` (a path, relative to the table's folder or absolute). It may have an `id`, and `start` and `stop` in
seconds from where players begin the file; `stop` is excluded, and an empty field counts as none. Without an `id`, the
id of a whole file is its path, and that of an interval is path and seconds: `talk.mp4@12.5-20`.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.datasets.listing import Video, listed_video
from pipeline.datasets.text_tables import DELIMITERS, JSON_LINES, csv_rows, json_lines
from pipeline.errors import PipelineError, breaks_lines
from pipeline.video.interval import Interval

COLUMNS = ("id", "start", "stop")  # besides `video`
MAX_ID = 1024  # characters; ids stand in tables, logs and pages
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
EXAMPLE = '{"video": "talk.mp4", "start": 12.5, "stop": 20}'


def is_clip_list(source: Path) -> bool:
    """Whether a list file is a table of clips, as its suffix tells; other list files hold one path a line."""
    return source.suffix.lower() in (*DELIMITERS, *JSON_LINES)


def read_clip_list(source: Path) -> list[Video]:
    """Read the clips of a table, sorted by id; no file but the table is opened.

    Raises:
        PipelineError: naming file and line, if a video is missing, an interval is not valid, or an id or a whole file
            is there twice; or if there is no clip.
    """
    if source.suffix.lower() in JSON_LINES:
        rows = json_lines(source, EXAMPLE)
    else:
        expected = "`video`, and perhaps `id`, `start`, `stop` (a list of paths alone is a .txt file)"
        rows = csv_rows(source, lambda header: {"video"} <= set(header) <= {"video", *COLUMNS}, expected)
    files: dict[str, Video] = {}  # a file with a hundred clips is looked for once
    place_of: dict[str, str] = {}
    whole: dict[str, str] = {}
    clips = []
    for number, row in rows:
        place = f"{source}:{number}"
        clip = _clip(source, row, place, files)
        if clip.interval is None and whole.setdefault(clip.path, place) != place:
            raise PipelineError(
                f"{place}: {clip.path} is there without `start` and `stop` at {whole[clip.path]} already: "
                "give each clip its interval, or remove one"
            )
        if place_of.setdefault(clip.id, place) != place:
            raise PipelineError(
                f"{place}: a clip {clip.id} is at {place_of[clip.id]} already: give each its own `id` or remove one"
            )
        clips.append(clip)
    if not clips:
        raise PipelineError(f"`videos: {source}`: no clip in it: expected rows with `video`")
    return sorted(clips, key=lambda clip: clip.id)


def _clip(source: Path, row: Mapping[str, object], place: str, files: dict[str, Video]) -> Video:
    strangers = sorted(row.keys() - {"video", *COLUMNS})
    if strangers:
        raise PipelineError(f"{place}: unknown keys {', '.join(strangers)}: expected video and perhaps id, start, stop")
    name = row.get("video")
    if not isinstance(name, str) or not name.strip():
        raise PipelineError(f"{place}: `video` must be the path of a file")
    if name not in files:
        files[name] = listed_video(source, name.strip(), place)
    file = files[name]
    start, stop = (_seconds(row.get(key), key, place) for key in ("start", "stop"))
    interval = None
    if start is not None or stop is not None:
        try:
            interval = Interval(start or 0.0, stop)
        except ValueError as error:
            raise PipelineError(f"{place}: {error}") from error
    named = _id(row.get("id"), place)
    return replace(file, id=named or (file.id if interval is None else f"{file.id}@{interval}"), interval=interval)


def _id(value: object, place: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_ID or breaks_lines(value):
        raise PipelineError(
            f"{place}: `id` must be a text of at most {MAX_ID:,} characters on one line, or be left empty"
        )
    return unicodedata.normalize("NFC", value.strip())


def _seconds(value: object, key: str, place: str) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        return float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # an integer of a thousand digits
            pass
    raise PipelineError(f"{place}: `{key}` is {str(value)[:40]!r}: expected seconds, such as 90 or 12.5")
