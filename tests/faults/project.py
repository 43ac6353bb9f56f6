"""A small project whose runs are watched: made once, and copied for every fault."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from toys.project_sources import copy_sources, environment_of
from toys.videos import encode

from pipeline.datasets.sharding import shard_of
from pipeline.workflow.paths import ARTIFACTS

OBSERVED = Path(__file__).with_name("observed")
SHARDS = ("000", "001")
NUM_VIDEOS = 24
BAD = ("text.mp4", "cut.mp4")  # no videos: they must stay recorded, whatever happens
LONGEST_CALL = 1200.0  # seconds, on a machine that does much else; on two idle cores the whole line takes 80

# The stages that go through videos one by one, and where each puts what it made.
KINDS = {
    "decode_frames": "frames",
    "extract_i3d": "motion",
    "extract_maps": "maps",
    "build_grid_nodes": "nodes",
    "build_spatial_graphs": "spatial_graphs",
    "build_temporal_graphs": "temporal_graphs",
    "convert_graphs": "graphs",
}
NAMES = {"dataset": "home", "sampling": "action", "nodes": "grid", "graph": "grid", "maps": "small"}
# Those that go through the captioned videos of a split, whatever their shard, and the explanation that each makes.
EXPLANATIONS = {"explain_maps": "of_maps", "explain_graphs": "of_graphs"}


def target_of(stage: str, shard: str = "") -> str:
    """What Snakemake calls the artifact of a stage; those of explanations have no shards."""
    kind = "relevance" if stage in EXPLANATIONS else KINDS[stage]
    return ARTIFACTS[kind].format(**NAMES, encoder="i3d", shard=shard, explanation=EXPLANATIONS.get(stage))


def stores_of(*stages: str) -> list[tuple[str, str]]:
    """Each of some stages with each shard."""
    return [(stage, shard) for stage in stages for shard in SHARDS]


def targets_of(*stages: str) -> list[str]:
    """What Snakemake calls the artifacts of some stages."""
    return [target_of(stage, shard) for stage, shard in stores_of(*stages)]


class Project:
    """A folder with its own copy of the code, of the videos and, mostly, of results.

    Args:
        root: The folder.
        capabilities: What a call may not do although it is root's, as `setpriv` spells it.
    """

    def __init__(self, root: Path, capabilities: str = "") -> None:
        self.root = root
        self.capabilities = capabilities
        self.results = root / "results"
        self.log = root / "works.tsv"
        self.mark = uuid.uuid4().hex
        self.calls: list[Call] = []

    def start(self, *arguments: str, cores: int = 2, decoder: str = "- - -") -> "Call":
        """Start Snakemake in a process group of its own."""
        options = ["--cores", str(cores), "--resources", "gpu=2", "--configfile", "tiny.yaml"]
        command = [sys.executable, "-m", "snakemake", *arguments, *options]
        if self.capabilities:
            command = ["setpriv", f"--bounding-set={self.capabilities}", *command]
        call = Call(self, command, {"FAULTS_DECODER": decoder})
        self.calls.append(call)
        return call

    def run(self, *arguments: str, cores: int = 2) -> str:
        """Call Snakemake, which must succeed."""
        call = self.start(*arguments, cores=cores)
        assert call.finish() == 0, call.output()
        return call.output()

    def verify(self, *options: str) -> subprocess.CompletedProcess[str]:
        """`python -m pipeline verify results`."""
        command = [sys.executable, "-m", "pipeline", "verify", "results", *options]
        return subprocess.run(
            command, cwd=self.root, env=self.environment(), capture_output=True, text=True, check=False
        )

    def environment(self) -> dict[str, str]:
        """What a call sees; its jobs are watched."""
        changed = {
            "PYTHONPATH": f"{OBSERVED}{os.pathsep}{self.root}",
            "OMP_NUM_THREADS": "1",
            "FAULTS_LOG": str(self.log),
            "FAULTS_RUN": self.mark,
        }
        return environment_of(self.root) | changed

    def processes(self) -> list[psutil.Process]:
        """Every process of this project's calls, whoever its parent is."""
        return [process for process in psutil.process_iter() if _environment(process).get("FAULTS_RUN") == self.mark]

    def jobs(self, stage: str = "", shard: str = "") -> list[psutil.Process]:
        """The processes that run a stage (not their shells and launchers), for one shard if one is named."""
        return [process for process in self.processes() if is_job(_command(process), stage, shard)]

    def wait_until_quiet(self, seconds: float = LONGEST_CALL) -> None:
        """Wait until no process of this project is left."""
        deadline = time.monotonic() + seconds
        while left := self.processes():
            assert time.monotonic() < deadline, f"still there: {[_command(process) for process in left]}"
            time.sleep(0.02)

    def end(self) -> None:
        """Kill whatever is left."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.wait_until_quiet()
        for call in self.calls:
            call.finish()

    def works(self, since: int = 0, until: int = sys.maxsize) -> Counter[tuple[str, str]]:
        """How often each stage took up each video, between two moments of the monotonic clock in nanoseconds."""
        if not self.log.exists():
            return Counter()
        lines = [line.split("\t") for line in self.log.read_text(encoding="utf-8").splitlines()]
        return Counter((stage, video_id) for moment, stage, video_id in lines if since <= int(moment) < until)

    def remove(self, *stages: str) -> list[str]:
        """Remove the artifacts of some stages, and return what Snakemake calls them."""
        targets = targets_of(*stages)
        for target in targets:
            shutil.rmtree((self.root / target).parent)
        return targets

    def clear(self) -> None:
        """Remove all that was made but the lists of videos."""
        for name in ("encoders", "experiments", "explanations", "report", "vocabularies"):
            shutil.rmtree(self.results / name)
        self.remove(*KINDS)
        shutil.rmtree(self.root / "checkpoints")

    def copy(self, root: Path, capabilities: str = "") -> "Project":
        """A copy with all times as they are, and an empty record of work."""
        shutil.copytree(self.root, root, copy_function=shutil.copy2, symlinks=True)
        copied = Project(root, capabilities)
        copied.log.unlink(missing_ok=True)
        return copied


class Call:
    """A call of Snakemake."""

    def __init__(self, project: Project, command: list[str], environment: dict[str, str]) -> None:
        self.project = project
        self.file = project.root / f"call{len(project.calls)}.txt"
        with self.file.open("w") as output:
            self.process = subprocess.Popen(
                command,
                cwd=project.root,
                env=project.environment() | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def is_running(self) -> bool:
        return self.process.poll() is None

    def finish(self) -> int:
        """Wait for the end; returns the exit code."""
        return self.process.wait(LONGEST_CALL)

    def signal_group(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def output(self) -> str:
        return self.file.read_text(encoding="utf-8", errors="replace")


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else process.environ()
    except (psutil.Error, OSError):
        return {}


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.Error, OSError):
        return []


def is_job(command: list[str], stage: str, shard: str) -> bool:
    """Whether a command line is that of a stage itself."""
    if "-m" not in command[1:3] or "pipeline" not in command[2:4] or (stage and stage not in command[3:5]):
        return False
    out = command[command.index("--out") + 1] if "--out" in command else ""
    return not shard or shard in Path(out).parent.name


def write_videos(root: Path) -> None:
    """Videos that take a decoder about a tenth of a second each, two files that are none, and captions for all."""
    (root / "videos").mkdir(parents=True)
    lines = ["video,caption,split"]
    for number in range(NUM_VIDEOS):
        name = f"clip {number:02d}.mp4"
        write_video(root / "videos" / name, number)
        split = ("train", "train", "val", "test")[number % 4]
        lines += [f"{name},a square is moving to the right,{split}", f"{name},a block number {number} moves,{split}"]
    (root / "videos" / BAD[0]).write_text("not a video\n", encoding="utf-8")
    whole = (root / "videos" / "clip 00.mp4").read_bytes()
    (root / "videos" / BAD[1]).write_bytes(whole[: len(whole) // 2])
    lines += [f"{name},something that cannot be seen,test" for name in BAD]
    (root / "captions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_video(path: Path, seed: int, height: int = 240, width: int = 320) -> None:
    """A bright block that moves over moving noise, 48 frames of it."""
    ground = np.random.default_rng(seed).integers(0, 60, (height, width, 3), dtype=np.uint8)
    images = [np.roll(ground, number, axis=1) for number in range(48)]
    for number, image in enumerate(images):
        left = (number * 4 + seed) % (width - 40)
        image[80:120, left : left + 40] = (200, 40 * (seed % 6), 90)
    encode(path, images, rate=12, codec_options={"preset": "ultrafast"})


def make_project(root: Path) -> Project:
    """A project without results."""
    write_videos(root)
    copy_sources(root)
    shutil.copy2(Path(__file__).with_name("tiny.yaml"), root / "tiny.yaml")
    return Project(root)


def video_names() -> list[str]:
    return sorted([f"clip {number:02d}.mp4" for number in range(NUM_VIDEOS)] + list(BAD))


def videos_of(shard: str) -> list[str]:
    """The videos of a shard, by name."""
    return [name for name in video_names() if f"{shard_of(name, len(SHARDS)):03d}" == shard]
