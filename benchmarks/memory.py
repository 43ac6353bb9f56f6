"""Measure the memory of convert_graphs and of training's loader on a data set of full width, and the loader's speed.

Run: `python -m benchmarks.memory`. It writes random artifacts of 10,000 videos to a temporary folder, which grows to
7 GB and is removed at the end. A video has 20 frames with 9 nodes each; a node has 512 features and a frame 1024 of
motion, which makes 2.1 GB of graphs in one shard. Then convert_graphs, and an epoch of training's batches in random
order, run in a process each. Their peak is `ru_maxrss`: all that was in memory at once, with libraries and mapped files
but without the system's cache of files. The last line of the table is for comparison: the loader with all graphs in
memory.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

# The parent stays small and leaves all work to its children: Linux counts the memory of the process that starts another
# towards the peak of the started one. So large modules are imported only in the functions that use them.

FRAMES, NODES_A_FRAME, NODE_DIM, MOTION_DIM = 20, 9, 512, 1024
BLOCKS = 64  # different videos; more take long to draw, and none comes twice in a compressed chunk
BATCH_SIZE = 64
LIMIT = 2e9  # bytes


class Run(NamedTuple):
    """What a process took (bytes of memory at its peak, and seconds), and what it printed."""

    peak: int
    seconds: float
    output: str


def measure(command: Sequence[str | Path]) -> Run:
    """Run a command and measure it; its stderr is this program's, which ends if the command fails."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output, subprocess.Popen(command, stdout=output) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        run = Run(
            usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), time.perf_counter() - start, output.read()
        )
    if process.returncode:
        sys.exit(f"exit code {process.returncode} of {' '.join(map(str, command))}")
    return run


def random_videos(num_videos: int) -> list[dict[str, dict[str, Any]]]:
    """Draw the rows of some videos: for each, those of the artifacts that convert_graphs reads."""
    import numpy as np

    from pipeline.stages.build_spatial_graphs import spatial_edges
    from pipeline.stages.build_temporal_graphs import temporal_edges

    generator = np.random.default_rng(0)
    node_frame = np.repeat(np.arange(FRAMES), NODES_A_FRAME)
    num_nodes = len(node_frame)
    videos = []
    for _ in range(num_videos):
        x = generator.normal(size=(num_nodes, NODE_DIM)).astype(np.float16)
        nodes: dict[str, Any] = {
            "x": x,
            "node_frame": node_frame,
            "box": generator.uniform(size=(num_nodes, 4)),
            "label": np.zeros(num_nodes, int),
            "score": np.ones(num_nodes),
            "frame_time": np.arange(float(FRAMES)),
        }
        motion = np.abs(generator.normal(size=(FRAMES, MOTION_DIM))).astype(np.float16)
        videos.append(
            {
                "nodes": nodes,
                "motion": {"motion": motion, "window_start": np.zeros(FRAMES, int)},
                "spatial": spatial_edges(x, node_frame),
                "temporal": temporal_edges(x, node_frame),
            }
        )
    return videos


def make(folder: Path, num_videos: int) -> None:
    """Write the artifacts that convert_graphs reads."""
    from pipeline.artifact import create
    from pipeline.schemas import MOTION, NODES, SPATIAL_GRAPHS, TEMPORAL_GRAPHS

    ids = [f"video{number}" for number in range(num_videos)]
    videos = random_videos(min(BLOCKS, num_videos))
    schemas = {"nodes": NODES, "motion": MOTION, "spatial": SPATIAL_GRAPHS, "temporal": TEMPORAL_GRAPHS}
    for name, schema in schemas.items():
        # The digest of this stage's code stands for those of the four artifacts, some of which two stages can make.
        with create(folder / f"{name}.zarr", schema, ids=ids, stage="convert_graphs", settings={}, inputs={}) as writer:
            for video_id, video in zip(ids, itertools.cycle(videos)):
                writer.append(video_id, **video[name])


def load(store: Path, in_memory_bytes: int | None = None) -> dict[str, float]:
    """Make the batches of one epoch, as training does.

    Args:
        store: Store of the graphs.
        in_memory_bytes: Bytes of graphs that may be held in memory; None for as many as in training.

    Returns:
        Number of `videos`, `seconds` (of the batches alone) and `bytes` (of the tensors of the largest batch).
    """
    import torch

    from pipeline.artifact import read
    from pipeline.captioning.batches import CaptionedVideos, EpochPlan
    from pipeline.captioning.graph_set import IN_MEMORY_BYTES, GraphSet
    from pipeline.captioning.training import CaptionData
    from pipeline.schemas import GRAPHS
    from pipeline.stages import train_captioner  # noqa: F401  all that training imports counts
    from pipeline.vocabulary import BOS, EOS, UNK

    torch.set_num_threads(1)
    limit = IN_MEMORY_BYTES if in_memory_bytes is None else in_memory_bytes
    graphs = GraphSet([read(store, GRAPHS)], in_memory_bytes=limit)
    captions = [[[BOS, UNK + 1, EOS]]] * len(graphs)
    videos = CaptionedVideos(graphs.ids, captions, captions)
    plan = EpochPlan(videos, BATCH_SIZE, 1, 1, "epoch", seed=0, num_processes=1)
    found, largest, start = 0, 0, time.perf_counter()
    for batch in CaptionData(graphs, plan, videos).train_batches(epoch=0, rank=0):
        found += batch.graphs.num_graphs
        largest = max(largest, sum(value.nbytes for _, value in batch.graphs if isinstance(value, torch.Tensor)))
    return {"videos": found, "seconds": time.perf_counter() - start, "bytes": largest}


def report(folder: Path, num_videos: int) -> bool:
    """Make the artifacts, measure, print the table; return whether convert_graphs and the loader are below `LIMIT`."""
    own = [sys.executable, "-m", "benchmarks.memory"]
    made = measure([*own, "--make", folder, "--videos", str(num_videos)])
    print(f"{num_videos} videos of random artifacts made in {made.seconds:.0f} s", flush=True)
    flags = [
        part for name in ("nodes", "motion", "spatial", "temporal") for part in (f"--{name}", folder / f"{name}.zarr")
    ]
    store = folder / "graphs.zarr"
    print(f"{'':<28}{'peak, MB':>10}{'seconds':>9}{'videos/s':>10}")
    converted = measure([sys.executable, "-m", "pipeline", "convert_graphs", *flags, "--out", store])
    print(line("convert_graphs", converted, num_videos, converted.seconds), flush=True)
    peaks = [converted.peak]
    for name, further in (("loader", []), ("loader, all in memory", ["--in-memory"])):
        loaded = measure([*own, "--load", store, *further])
        counted = json.loads(loaded.output)
        print(line(name, loaded, counted["videos"], counted["seconds"]), flush=True)
        if not further:
            peaks.append(loaded.peak)
    fits = max(peaks) < LIMIT
    print(f"convert_graphs and loader {'stay below' if fits else 'EXCEED'} {LIMIT / 1e9:g} GB")
    return fits


def line(name: str, run: Run, num_videos: float, seconds: float) -> str:
    return f"{name:<28}{run.peak / 1e6:>10.0f}{run.seconds:>9.1f}{num_videos / seconds:>10.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=int, default=10_000, help="how many (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made (default: the system's)")
    for name in ("--make", "--load"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)  # for the processes that are measured
    parser.add_argument("--in-memory", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.make:
        make(chosen.make, chosen.videos)
        return 0
    if chosen.load:
        print(json.dumps(load(chosen.load, sys.maxsize if chosen.in_memory else None)))
        return 0
    with tempfile.TemporaryDirectory(prefix="clipgraph-memory-", dir=chosen.folder) as folder:
        return 0 if report(Path(folder), chosen.videos) else 1


if __name__ == "__main__":
    sys.exit(main())
