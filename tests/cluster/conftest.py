"""SLURM for the time of the suite, and copies of the project whose jobs it runs."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toys.project_sources import ROOT, copy_sources, environment_of
from toys.tiny_project import write_home

from pipeline.artifact import file_digest

from .slurm import Slurm, missing, records

MODEL = "results/experiments/grid/model.safetensors"
READ_BY_TRAINING = [
    *(f"results/datasets/home/graphs/grid/{shard}.zarr/zarr.json" for shard in ("000", "001")),
    "results/vocabularies/home.json",
]
MADE = "results/datasets/shapes/made/000/list.json"
NODES = [f"results/datasets/home/nodes/grid/{shard}.zarr/zarr.json" for shard in ("000", "001")]
MOTION = [f"results/datasets/home/motion/action/i3d/{shard}.zarr/zarr.json" for shard in ("000", "001")]
SHAPES_MOTION = "results/datasets/shapes/motion/action/i3d/000.zarr/zarr.json"

# Jobs find this `python` before the real one: it notes which stage got which GPUs, and can be told to hold up a stage.
PYTHON = """\
#!/bin/bash
if [ "$1 $2" = "-m pipeline" ]; then
    echo "$3 ${{SLURM_JOB_ID-none}} ${{CUDA_VISIBLE_DEVICES-none}}" >>{orders}/started
    while [ -e {orders}/hold.$3 ]; do sleep 0.2; done
    if [ -e {orders}/linger.$3 ]; then
        trap 'sleep 8; echo "$SLURM_JOB_ID" >>{orders}/lingered; exit 143' TERM
        sleep 3600 & wait
    fi
    if mv {orders}/hang.$3 {orders}/hung.$3 2>/dev/null; then sleep 3600; fi
    if [ -e {orders}/fill.$3 ]; then {python} -c 'held = b"x" * 2_000_000_000; import time; time.sleep(10)'; fi
fi
exec {python} "$@"
"""
SQUEUE = """\
#!/bin/bash
if [ -e {orders}/no.squeue ]; then
    echo "Unable to contact slurm controller" | tee -a {orders}/no.squeue >&2
    exit 1
fi
{squeue} "$@"
code=$?
echo asked >>{orders}/asked
exit $code
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what is missing before anything starts; look at the demo line last, because it takes longest."""
    items.sort(key=_is_demo)
    reason = missing()
    if reason is not None and any(Path(__file__).parent in item.path.parents for item in items):
        raise pytest.UsageError(reason)


def _is_demo(item: pytest.Item) -> bool:
    return item.path == Path(__file__).with_name("test_demo.py")


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """SLURM; it ends with the suite, also if that is interrupted or terminated."""
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=2))
    with Slurm(tmp_path_factory.mktemp("slurm")) as running:
        yield running
    signal.signal(signal.SIGTERM, before)


class Project:
    """A working copy of the project with videos of its own."""

    # What the profile leaves to the user, and shorter waits than a real queue's.
    site = (
        *("--workflow-profile", "profiles/slurm", "--cores", "2"),
        *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"),
        *("--max-status-checks-per-second", "1", "--latency-wait", "20"),
    )

    def __init__(self, root: Path, partition: str = "main") -> None:
        self.root = root
        self.site = (*self.site, "--default-resources", "nodes=1", f"slurm_partition={partition}")
        self.orders = root / "orders"
        self.running: subprocess.Popen[str] | None = None
        (root / "bin").mkdir(exist_ok=True)
        self.orders.mkdir(exist_ok=True)
        for note in ("started", "asked"):
            (self.orders / note).write_text("", encoding="utf-8")
        for name, text in (("python", PYTHON), ("squeue", SQUEUE)):
            script = root / "bin" / name
            real = {"python": sys.executable, "squeue": shutil.which("squeue")}
            script.write_text(text.format(orders=self.orders, **real), encoding="utf-8")
            script.chmod(0o755)

    def start(self, *arguments: str, site: tuple[str, ...] | None = None) -> None:
        """Start Snakemake; its output, both streams in one, goes to snakemake.log."""
        options = [*(self.site if site is None else site)]
        if (self.root / "tiny.yaml").exists():
            options += ["--configfile", "tiny.yaml"]
        with (self.root / "snakemake.log").open("w", encoding="utf-8") as log:
            self.running = subprocess.Popen(
                # a target after an option would be its value
                [sys.executable, "-m", "snakemake", *arguments, *options],
                cwd=self.root,
                env=environment_of(self.root, self.root / "bin"),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def finish(self, seconds: float = 900) -> tuple[int, str]:
        """Wait for Snakemake; its exit code and its output."""
        assert self.running is not None
        try:
            code = self.running.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            code = -1
        return code, (self.root / "snakemake.log").read_text(encoding="utf-8")

    def stop(self) -> None:
        """Interrupt Snakemake, which cancels its jobs."""
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(signal.SIGINT)
            try:
                self.running.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.running.kill()
                self.running.wait()

    def run(self, *arguments: str, site: tuple[str, ...] | None = None, seconds: float = 900) -> str:
        """Run Snakemake, which must succeed."""
        self.start(*arguments, site=site)
        code, output = self.finish(seconds)
        assert code == 0, output
        return output

    def order(self, what: str) -> Path:
        """Tell the `python` or `squeue` of jobs something: "hold.decode_frames". Unlink it when it is enough."""
        path = self.orders / what
        path.touch()
        return path

    def started(self, stage: str) -> dict[str, str]:
        """Which GPUs a stage got, by SLURM job."""
        notes = (self.orders / "started").read_text(encoding="utf-8").splitlines()
        return {job: gpus for name, job, gpus in map(str.split, notes) if name == stage}

    def asked(self) -> int:
        """How often Snakemake has asked `squeue`."""
        return len((self.orders / "asked").read_text(encoding="utf-8").splitlines())

    def jobs(self, rule: str) -> list[dict[str, str]]:
        """SLURM's records of the jobs of a rule; the plugin says in the comment which rule and shard a job is."""
        return [job for job in records(self.root) if job.get("Comment", "").startswith(f"rule_{rule}")]

    def wait_for(self, state: str, rule: str, num: int = 1) -> list[dict[str, str]]:
        """Wait until so many jobs of a rule are in a state, and return their records."""
        wait_until(lambda: len([job for job in self.jobs(rule) if job["JobState"] == state]) >= num)
        return [job for job in self.jobs(rule) if job["JobState"] == state]

    def remove(self, *paths: str) -> None:
        """Remove results, so that the next call makes them again."""
        for path in (self.root / "results" / path for path in paths):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def digests(self) -> dict[str, str]:
        """Digest of every artifact."""
        kinds = ("zarr.json", "*.json", "*.safetensors", "*.csv")
        stores = {path.parent for path in self.root.glob("results/**/*.zarr/zarr.json")}
        files = {path for kind in kinds[1:] for path in self.root.glob(f"results/**/{kind}")}
        outside = {path for path in files if not any(parent.suffix == ".zarr" for parent in path.parents)}
        return {str(path.relative_to(self.root)): file_digest(path) for path in sorted(stores | outside)}


def wait_until(holds: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for something to hold."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.2)


def copy_of_sources(root: Path, partition: str = "main") -> Project:
    """The sources of the project, as they are."""
    copy_sources(root)
    return Project(root, partition)


@pytest.fixture(scope="session", autouse=True)
def demo(request: pytest.FixtureRequest, slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project with its default configuration, on a node of its own while the other tests run."""
    project = copy_of_sources(tmp_path_factory.mktemp("demo"), partition="demo")
    if any(map(_is_demo, request.session.items)):
        project.start()
    yield project
    project.stop()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What training reads, by the tiny configuration on this machine without SLURM. Change only copies of it."""
    project = copy_of_sources(tmp_path_factory.mktemp("finished"))
    shutil.copy2(ROOT / "tests/workflow/tiny.yaml", project.root / "tiny.yaml")
    write_home(project.root)
    project.run(*READ_BY_TRAINING, SHAPES_MOTION, site=("--cores", "2"))
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the finished run, with all times as they were; its SLURM jobs end with the test."""
    root = tmp_path / "project"
    shutil.copytree(finished.root, root, copy_function=shutil.copy2)
    copy = Project(root)
    yield copy
    copy.stop()
