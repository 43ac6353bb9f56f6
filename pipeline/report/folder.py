"""Write the files that lie beside the report page: data, scripts, libraries, clips with stills, and maps of words.

The page is opened from disk, where a browser loads classic scripts and media alone: so data are scripts, too. All of it
is removed and written anew with the page.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.artifact.video_table import Clip
from pipeline.errors import VideoError
from pipeline.jobs.progress import track
from pipeline.jobs.storage import replaced
from pipeline.report.clips import clip_of, still_of

HERE = Path(__file__).parent
SCRIPTS = ("base", "tables", "state", "cards", "player", "maps", "curves", "start")  # in the order that they need
FILES = ("data.js", "page.js")
FOLDERS = ("vendor", "media", "maps")
SUFFIX = {"video/mp4": ".mp4", "video/webm": ".webm"}
LONGEST = 80  # letters of a file's name, before its digest


def renew(folder: Path) -> None:
    """Remove what an earlier page had beside it, and copy scripts and libraries to where the page looks for them."""
    for name in FOLDERS:
        if (folder / name).exists():
            shutil.rmtree(folder / name)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    libraries = folder / "vendor"
    libraries.mkdir(parents=True)
    for file in sorted((HERE / "vendor").iterdir()):
        shutil.copyfile(file, libraries / file.name)
    parts = [(HERE / "page" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    with replaced(folder / "page.js") as new:
        new.write_text("\n".join(['"use strict";', "(function () {", *parts, "})();\n"]), encoding="utf-8")


def script_of(name: str, content: Any) -> str:
    """JavaScript that gives content to the page: `CLIPGRAPH.name = content`, in ASCII, the same for equal content."""
    told = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"(window.CLIPGRAPH = window.CLIPGRAPH || {{}})[{json.dumps(name)}] = {told};\n"


def write_script(path: Path, name: str, content: Any) -> None:
    """Write what `script_of` gives; the folder is made if need be."""
    with replaced(path) as new:
        new.write_text(script_of(name, content), encoding="utf-8")


def file_name(video_id: str) -> str:
    """A name for the files of a video, which every file system and address takes, and which no two videos share."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", video_id)[:LONGEST]
    return plain if plain and plain.lower() == video_id else f"{plain}-{sha256(video_id.encode()).hexdigest()[:10]}"


def write_clips(folder: Path, dataset: str, ids: Sequence[str], clips: Mapping[str, Clip]) -> dict[str, dict[str, str]]:
    """Write the clips that the page plays, and a still of each.

    Args:
        folder: Folder of the page.
        dataset: Name of the data set.
        ids: Ids of the videos to play.
        clips: Clips of the data set by id.

    Returns:
        For each of the videos `clip` and `poster` (addresses below the folder), or `problem` (why there is none).
    """
    shown: dict[str, dict[str, str]] = {}
    for video_id in track(ids, len(ids), "write_report: clips"):
        if video_id not in clips:
            shown[video_id] = {"problem": "no video table lists it"}
            continue
        clip = clips[video_id]
        try:
            media_type, content = clip_of(clip.file, clip.interval)
            still = still_of(clip.file, clip.interval)
        except VideoError as error:
            shown[video_id] = {"problem": str(error)}
            continue
        place = f"media/{dataset}/{file_name(video_id)}"
        files = {"clip": (f"{place}{SUFFIX[media_type]}", content), "poster": (f"{place}.jpg", still)}
        for address, written in files.values():
            with replaced(folder / address) as new:
                new.write_bytes(written)
        shown[video_id] = {what: address for what, (address, _) in files.items()}
    return shown
