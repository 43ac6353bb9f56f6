"""The tiny run: a copy of the project with ten good videos and four bad ones, and how Snakemake is called in it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from snakemake.utils import update_config

from pipeline.datasets.sharding import shard_of
from pipeline.jobs.gpus import visible_devices
from toys.project_sources import environment_of
from toys.sound_file import write_sound
from toys.videos import write_block_video

GPUS = str(len(visible_devices()) or 2)  # more than there are is an error; without any, two jobs share the CPUs
GOOD = [f"clip {number:02d}" for number in range(10)]
NUM_FRAMES = {"clip 08": 1, "clip 09": 5}  # the others have 20
BAD = {"empty": "empty.mp4", "text": "text.mp4", "truncated": "truncated.mp4", "sound": "sound.mp4"}
SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2


class Project:
    """A working copy with its own results."""

    output = ""  # of the call that made them

    def __init__(self, root: Path) -> None:
        self.root = root

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the tiny configuration; its output, both streams in one."""
        options = ["--cores", str(os.cpu_count()), "--resources", f"gpu={GPUS}", "--configfile", "tiny.yaml"]
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments, *options],  # a target after an option would be its value
            cwd=self.root,
            env=environment_of(self.root),
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
            env=environment_of(self.root),
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
        merged = yaml.safe_load(file.read_text(encoding="utf-8"))
        update_config(merged, sections)
        file.write_text(yaml.safe_dump(merged), encoding="utf-8")


def write_home(root: Path) -> None:
    """The folder `videos` with ten good videos and four bad ones, and captions for all of them."""
    lines = ["video,caption,split"]
    for number, (name, split) in enumerate(zip(GOOD, SPLITS, strict=True)):
        write_block_video(root / "videos" / f"{name}.mp4", seed=number, num_frames=NUM_FRAMES.get(name, 20))
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
    write_block_video(root / "unseen" / "one & only.mp4", seed=31)
    write_block_video(root / "unseen" / "more" / "another.mp4", seed=32)
    (root / "unseen" / "broken.mp4").write_text("not a video\n", encoding="utf-8")


def home_shard(file: str) -> str:
    """Name of the shard a video of the folder falls in."""
    return f"{shard_of(file, 2):03d}"
