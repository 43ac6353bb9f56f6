"""Measure what a video costs each stage in data sets of different sizes: processor time, bytes and files.

Run: `python -m benchmarks.scaling`. The graph stages get random artifacts of full width (20 frames of 9 nodes with 512
features, 1,024 of motion), in one shard; the stages before them get small generated clips, with small encoders. What a
stage does once for a shard is measured with three videos and left out, and so are its imports. The processor time is
that of all threads and of the worker processes. The last column compares it with that in the smallest data set.
docs/scaling.md holds a table, and what follows from it.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import commit_overhead

ONCE = 3  # videos of the shard that shows what a stage does once
GRAPH_STAGES = ("build_spatial_graphs", "build_temporal_graphs", "convert_graphs")
CLIP_STAGES = ("make_shapes", *commit_overhead.STAGES)


class Cost(NamedTuple):
    """What a stage took for a shard: seconds of the processor, and the bytes and files of what it made."""

    cpu: float
    num_bytes: int
    num_files: int


def make_inputs(folder: Path, num_videos: int, is_clips: bool) -> None:
    """Write what the stages read: clips with their table and the weights of small encoders, or random artifacts."""
    if not is_clips:
        from benchmarks import memory

        memory.make(folder, num_videos)
        return
    commit_overhead.draw_clips(folder / "made", num_videos)
    commit_overhead.write_inputs(folder)


def run_stage(stage: str, folder: Path, out: Path, num_videos: int) -> None:
    """Run a stage in this process over the inputs of a folder."""
    from pipeline.config import SimilaritySettings
    from pipeline.stages import build_spatial_graphs, build_temporal_graphs, convert_graphs

    of = {name: folder / f"{name}.zarr" for name in ("nodes", "motion", "spatial", "temporal")}
    if stage == "make_shapes":
        commit_overhead.draw_clips(out, num_videos)
    elif stage == "build_spatial_graphs":
        build_spatial_graphs.run(of["nodes"], out)
    elif stage == "build_temporal_graphs":
        build_temporal_graphs.run(of["nodes"], out, SimilaritySettings(top_k=None))
    elif stage == "convert_graphs":
        convert_graphs.run(of["nodes"], of["motion"], of["spatial"], of["temporal"], out)
    else:
        commit_overhead.run_stage(stage, "committed", folder, out)


def measure(stage: str, folder: Path, num_videos: int) -> Cost:
    """Run a stage in this process into an empty place, and measure it."""
    out = folder / f"{stage}.out"
    shutil.rmtree(out, ignore_errors=True)
    before = commit_overhead.cpu_seconds()
    run_stage(stage, folder, out, num_videos)
    cpu = commit_overhead.cpu_seconds() - before
    files = [path for path in out.rglob("*") if path.is_file()]
    return Cost(cpu, sum(path.stat().st_size for path in files), len(files))


def of_a_video(stage: str, once: Path, folder: Path, num_videos: int) -> Cost:
    """What a video costs, and the number of files of the shard: medians, with what is done once taken off."""
    measure(stage, once, ONCE)  # imports
    rounds = range(max(1, min(5, 1000 // num_videos)))
    small, large = zip(*[(measure(stage, once, ONCE), measure(stage, folder, num_videos)) for _ in rounds], strict=True)
    more = num_videos - ONCE
    cpu = statistics.median(a.cpu for a in large) - statistics.median(a.cpu for a in small)
    return Cost(cpu / more, (large[0].num_bytes - small[0].num_bytes) // more, large[0].num_files)


def table(costs: dict[str, dict[int, Cost]]) -> str:
    """The costs of a video as a table in Markdown."""
    lines = ["| stage | videos | ms of the processor a video | bytes a video | files | ms, times the smallest |"]
    lines.append("|---|---|---|---|---|---|")
    for stage, by_size in costs.items():
        smallest = by_size[min(by_size)].cpu
        for size, cost in by_size.items():
            figures = f"{1000 * cost.cpu:.2f} | {cost.num_bytes:,} | {cost.num_files:,} | {cost.cpu / smallest:.2f}"
            lines.append(f"| `{stage}` | {size:,} | {figures} |")
    return "\n".join(lines)


def report(base: Path | None, sizes: Sequence[int], is_clips: bool) -> dict[str, dict[int, Cost]]:
    """Measure each stage of a kind at each size."""
    costs: dict[str, dict[int, Cost]] = {}
    kind = "clips" if is_clips else "graphs"
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="clipgraph-scaling-", dir=base) as made:
            once, folder = Path(made) / "once", Path(made) / "many"
            for path, num_videos in ((once, ONCE), (folder, size)):
                path.mkdir()
                commit_overhead.run_again(["--make", kind, path, str(num_videos)], "benchmarks.scaling")
            for stage in CLIP_STAGES if is_clips else GRAPH_STAGES:
                # in a process of its own, so that no stage finds what another one left
                printed = commit_overhead.run_again(["--run", stage, once, folder, str(size)], "benchmarks.scaling")
                cost = Cost(*json.loads(printed.splitlines()[-1]))
                costs.setdefault(stage, {})[size] = cost
                print(f"{stage}, {size}: {1000 * cost.cpu:.2f} ms a video", file=sys.stderr, flush=True)
    return costs


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.partition("\n")[0])
    parser.add_argument("--graphs", type=int, nargs="*", default=[100, 1000, 10_000], help="videos of full width")
    parser.add_argument("--clips", type=int, nargs="*", default=[100, 1000], help="small clips")
    parser.add_argument("--folder", type=Path, help="where temporary folders are made (default: the system's)")
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)  # for the processes that are measured
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.make:
        kind, folder, size = chosen.make
        make_inputs(Path(folder), int(size), kind == "clips")
    elif chosen.run:
        stage, once, folder, size = chosen.run
        print(json.dumps(of_a_video(stage, Path(once), Path(folder), int(size))))
    else:
        costs = report(chosen.folder, chosen.graphs, is_clips=False)
        costs |= report(chosen.folder, chosen.clips, is_clips=True)
        print(table(costs))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
