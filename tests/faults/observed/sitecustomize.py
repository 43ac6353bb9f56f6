"""Watches the jobs of a run from outside: Python imports this by itself where it is on PYTHONPATH.

Each time a stage takes up a video, a line goes to the file FAULTS_LOG: nanoseconds, stage, video. A decoder can be made
to hang or to crash on one video: FAULTS_DECODER="hang decode_frames /folder/clip.mp4", or "crash ...". The product
knows nothing of either.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any


@cache
def stage() -> str:
    """The stage that this process, or the one that started it, runs."""
    process = os.getpid()
    while process > 1:
        words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
        if "pipeline" in words[:-1]:
            return words[words.index("pipeline") + 1]
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return "-"


def record(video_id: str) -> None:
    """One line, in one write: processes do not mix theirs."""
    line = f"{time.monotonic_ns()}\t{stage()}\t{video_id}\n"
    file = os.open(os.environ["FAULTS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, line.encode())
    os.close(file)


def misbehave(path: Path) -> None:
    """Hang or crash on the one video."""
    how, where, name = os.environ.get("FAULTS_DECODER", "- - -").split(" ", 2)
    if where == stage() and name == path.name:
        if how == "crash":
            ctypes.string_at(0)
        while True:
            ctypes.PyDLL(None).pause()  # as a decoder hangs: in C, and Python's lock is not given back


def watch_decoding(module: Any) -> None:
    open_video = module.open_video

    def watched(path: Path, *others: Any) -> Any:
        record(path.name)
        misbehave(path)
        return open_video(path, *others)

    module.open_video = watched


def watch_artifacts(module: Any) -> None:
    video = module.Artifact.video

    def watched(self: Any, video_id: str, *others: Any) -> Any:
        record(video_id)
        return video(self, video_id, *others)

    module.Artifact.video = watched


WATCHED: dict[str, Callable[[Any], None]] = {
    "pipeline.video.decoding": watch_decoding,
    "pipeline.artifact.reading": watch_artifacts,
}


class Watcher(MetaPathFinder):
    """Finds modules as ever, and changes those that are watched when they have been loaded."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name not in WATCHED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        loader: Any = spec.loader
        load = loader.exec_module

        def load_and_watch(module: Any) -> None:
            load(module)
            WATCHED[name](module)

        loader.exec_module = load_and_watch
        return spec


sys.meta_path.insert(0, Watcher())
