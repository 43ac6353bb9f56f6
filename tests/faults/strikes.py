"""When a fault strikes, and what had been finished by then."""

import json
import random
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from .project import SHARDS, Call, Project, stores_of, target_of, videos_of

PAUSE = 0.0005  # seconds between two looks at a journal: the graphs of a video take a few milliseconds
# Seconds after the k-th video within which a fault strikes: about what a few videos take.
LONGEST_DELAY = {
    "decode_frames": 0.1,
    "extract_i3d": 0.2,
    "extract_maps": 0.2,
    "build_grid_nodes": 0.05,
    "build_spatial_graphs": 0.01,
    "build_temporal_graphs": 0.01,
    "convert_graphs": 0.01,
    "explain_maps": 0.02,
    "explain_graphs": 0.02,
}


@dataclass(frozen=True)
class Moment:
    """When a fault is to strike.

    Attributes:
        stage: The stage that is at work then.
        shard: On which shard.
        num_done: Videos that it has finished, at least.
        delay: Seconds after the last of these.
    """

    stage: str
    shard: str
    num_done: int
    delay: float

    def __str__(self) -> str:
        return f"{self.stage} {self.shard}, video {self.num_done} + {1000 * self.delay:.0f} ms"


def draw_moment(rng: random.Random, stage: str) -> Moment:
    """A moment at which a stage is at work."""
    shard = rng.choice(SHARDS)
    return Moment(stage, shard, rng.randrange(len(videos_of(shard))), rng.uniform(0, LONGEST_DELAY[stage]))


@dataclass
class Strike:
    """What a fault met.

    Attributes:
        when: In words.
        instant: Nanoseconds of the monotonic clock; all that comes later is the second call's work.
        finished: The videos that were committed then, of the stores that were hit.
    """

    when: str
    instant: int
    finished: dict[tuple[str, str], list[str]] = field(default_factory=dict)


class Missed(Exception):  # noqa: N818
    """The work was over before the fault came: it struck nothing."""


def journal(project: Project, stage: str, shard: str) -> Path:
    """What a stage writes a line to for every video that it has finished."""
    store = (project.root / target_of(stage, shard)).parent
    return store.with_name(f".{store.name}.partial") / "journal.jsonl"


def committed(project: Project, stage: str, shard: str) -> list[str]:
    """Videos that are in a finished store, or else in the journal of an unfinished one."""
    try:
        lines = journal(project, stage, shard).read_bytes().split(b"\n")[:-1]
        return [json.loads(line)["id"] for line in lines]
    except FileNotFoundError:
        kept = project.root / target_of(stage, shard).replace("/zarr.json", "/provenance/zarr.json")
        if not kept.is_file():
            return []
        # a store that lacks nothing but its root: Snakemake deletes that of a job that was struck after its last video
        root = json.loads(kept.read_text(encoding="utf-8"))["attributes"]["root"]
        return [*root["ids"], *root["failed"]]


def all_committed(project: Project, stages: Collection[str]) -> dict[tuple[str, str], list[str]]:
    """The same of all stores of some stages."""
    return {(stage, shard): committed(project, stage, shard) for stage, shard in stores_of(*stages)}


def wait_for(project: Project, call: Call, moment: Moment) -> psutil.Process:
    """Wait for a moment.

    Returns:
        The process that is at work.

    Raises:
        Missed: if it ended first.
    """
    process = wait_for_job(project, call, moment.stage, moment.shard)
    path = journal(project, moment.stage, moment.shard)

    def is_time() -> bool:
        try:
            return path.read_bytes().count(b"\n") >= moment.num_done
        except FileNotFoundError:
            return False

    wait_until(is_time, process)
    time.sleep(moment.delay)
    if not is_alive(process):
        raise Missed
    return process


def wait_for_job(project: Project, call: Call, stage: str, shard: str = "") -> psutil.Process:
    """Wait until a stage is at work, and return its process."""
    while call.is_running():
        found = project.jobs(stage, shard)
        if found:
            return found[0]
        time.sleep(PAUSE)
    raise AssertionError(f"{stage} {shard} never ran:\n{call.output()}")


def wait_until(is_time: Callable[[], bool], process: psutil.Process) -> None:
    """Wait for something that a process brings about."""
    while not is_time():
        if not is_alive(process):
            raise Missed
        time.sleep(PAUSE)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def send(process: psutil.Process, number: int) -> None:
    """Send a signal to a process that is still at work.

    Raises:
        Missed: if it is not.
    """
    if not is_alive(process):
        raise Missed
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        raise Missed from None


def kill_all(project: Project, call: Call) -> None:
    """SIGKILL to Snakemake and all that it started, Snakemake first."""
    call.process.kill()
    call.process.wait()
    while left := project.processes():
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def wait_for_end(process: psutil.Process) -> None:
    """Wait until a process does nothing any more, reaped or not."""
    deadline = time.monotonic() + 120
    while is_alive(process):
        assert time.monotonic() < deadline, "it does not end"
        time.sleep(0.001)


def num_finished(finished: Mapping[tuple[str, str], list[str]]) -> int:
    return sum(map(len, finished.values()))
