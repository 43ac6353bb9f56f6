"""A copy of the project with a tiny run in it, made once; every test works on a copy of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from toys.project_sources import copy_sources
from toys.sound_file import write_sound

from pipeline.datasets.sharding import shard_of
from pipeline.jobs.gpus import visible_devices

UNITS = {"test_code_digest.py", "test_captioning_chain.py", "test_paths.py", "test_trials.py", "test_clock.py"}
GPUS = str(len(visible_devices()) or 2)  # more than there are is an error; without any, two jobs share the CPUs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever runs Snakemake is slow; the tests of `pipeline.workflow` itself are not."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.path.name not in UNITS:
            item.add_marker(pytest.mark.slow)


class Project:
    """A working copy with its own results."""

    output = ""  # of the call that made them

    def __init__(self, root: Path) -> None:
        self.root = root

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the tiny configuration; its output, both streams in one."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        options = ["--cores", str(os.cpu_count()), "--resources", f"gpu={GPUS}", "--configfile", "tiny.yaml"]
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments, *options],  # a target after an option would be its value
            cwd=self.root,
            # The copy's package, not the one that is installed; and nothing of the user's own profiles.
            env=os.environ | {"PATH": path, "PYTHONPATH": str(self.root), "XDG_CONFIG_HOME": str(self.root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def python(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run Python with the copy's package; `text` is what it reads."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root)},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *arguments: str) -> str:
        """Run the workflow, which must succeed."""
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def jobs(self, *targets: str) -> set[str]:
        """The jobs of the next call, each as "rule name name ...", without `all`."""
        output = self.run("--dry-run", *targets)
        planned = re.split(r"^(?:local)?(?:rule|checkpoint) ", output, flags=re.MULTILINE)[1:]
        found = set()
        for job in planned:
            rule = job.partition(":")[0]
            wildcards = re.search(r"^    wildcards: (.*)$", job, re.MULTILINE)
            names = re.findall(r"=([^,\s]+)", wildcards[1]) if wildcards else []
            if rule != "all":
                found.add(" ".join([rule, *names]))
        if not found:
            assert "Nothing to be done" in output, output
        return found

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace the one occurrence of a text in a file."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} holds {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def configure(self, **sections: object) -> None:
        """Lay settings over the tiny configuration."""
        file = self.root / "tiny.yaml"
        merged = _merge(yaml.safe_load(file.read_text(encoding="utf-8")), sections)
        file.write_text(yaml.safe_dump(merged), encoding="utf-8")


def _merge(below: dict, above: dict) -> dict:
    merged = dict(below)
    for key, value in above.items():
        nested = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge(below[key], value) if nested else value
    return merged


def write_video(path: Path, seed: int, num_frames: int = 20, fps: int = 10) -> None:
    """A bright square that moves over noise, as H.264."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(num_frames):
            image = rng.integers(0, 60, (48, 64, 3), dtype=np.uint8)
            left = (number * 2 + seed) % 48
            image[16:32, left : left + 16] = (200, 40 * (seed % 6), 90)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


GOOD = [f"clip {number:02d}" for number in range(10)]
NUM_FRAMES = {"clip 08": 1, "clip 09": 5}  # the others have 20
BAD = {"empty": "empty.mp4", "text": "text.mp4", "truncated": "truncated.mp4", "sound": "sound.mp4"}
SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2


def write_home(root: Path) -> None:
    """The folder `videos` with ten good videos and four bad ones, and captions for all of them."""
    lines = ["video,caption,split"]
    for number, (name, split) in enumerate(zip(GOOD, SPLITS, strict=True)):
        write_video(root / "videos" / f"{name}.mp4", seed=number, num_frames=NUM_FRAMES.get(name, 20))
        lines += [
            f"{name}.mp4,a square is moving to the right,{split}",
            f"{name}.mp4,a block number {number} moves,{split}",
        ]
    (root / "videos" / BAD["empty"]).write_bytes(b"")
    (root / "videos" / BAD["text"]).write_text("not a video\n", encoding="utf-8")
    write_sound(root / "videos" / BAD["sound"])
    whole = (root / "videos" / f"{GOOD[0]}.mp4").read_bytes()
    (root / "videos" / BAD["truncated"]).write_bytes(whole[: len(whole) // 2])
    lines += [f"{name},something that cannot be seen,test" for name in BAD.values()]
    (root / "captions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_unseen(root: Path) -> None:
    """The folder `unseen`: two videos without captions, one of them further down, and a bad one."""
    write_video(root / "unseen" / "one & only.mp4", seed=31)
    write_video(root / "unseen" / "more" / "another.mp4", seed=32)
    (root / "unseen" / "broken.mp4").write_text("not a video\n", encoding="utf-8")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny run, done. Look at it; change only copies of it."""
    root = tmp_path_factory.mktemp("tiny")
    copy_sources(root)
    shutil.copy2(Path(__file__).with_name("tiny.yaml"), root / "tiny.yaml")
    write_home(root)
    write_unseen(root)
    project = Project(root)
    project.output = project.run()
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the finished tiny run, with all times as they were."""
    root = tmp_path / "project"
    shutil.copytree(finished.root, root, copy_function=shutil.copy2)
    yield Project(root)
    shutil.rmtree(root)


def home_shard(file: str) -> str:
    """Name of the shard a video of the folder falls in."""
    return f"{shard_of(file, 2):03d}"
